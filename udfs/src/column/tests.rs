//! Functions by columns: each distinct value is worked out once, and documentation names every function.

use std::collections::BTreeSet;

use datafusion_common::config::ConfigOptions;

use super::*;

fn run(
    function: &ScalarUDF,
    args: Vec<ColumnarValue>,
    number_rows: usize,
) -> Result<ColumnarValue> {
    let arg_fields =
        args.iter().map(|arg| Arc::new(Field::new("a", arg.data_type(), true))).collect();
    let return_field = Arc::new(Field::new("r", function.return_type(&[])?, true));
    let config_options = Arc::new(ConfigOptions::new());
    function.invoke_with_args(ScalarFunctionArgs {
        args,
        arg_fields,
        number_rows,
        return_field,
        config_options,
    })
}

fn shown(value: &ColumnarValue) -> String {
    match value {
        ColumnarValue::Scalar(scalar) => scalar.to_string(),
        ColumnarValue::Array(array) => ScalarValue::try_from_array(array, 0).unwrap().to_string(),
    }
}

fn constant(text: Option<&str>) -> ColumnarValue {
    ColumnarValue::Scalar(ScalarValue::Utf8(text.map(str::to_owned)))
}

#[test]
fn names_are_unique_and_everything_is_documented() {
    let mut names = BTreeSet::new();
    for function in crate::all() {
        let name = function.name().to_owned();
        assert!(names.insert(name.clone()), "{name} is registered twice");
        let documentation = function.documentation().expect("every function is documented");
        assert!(documentation.description.ends_with('.'), "{name} has no description");
        assert!(
            documentation.sql_example.as_ref().is_some_and(|example| example.contains(&name)),
            "{name}"
        );
        assert!(documentation.syntax_example.starts_with(&name));
        assert!(!documentation.arguments.as_ref().unwrap().is_empty());
        assert_eq!(function.signature().volatility, Volatility::Immutable);
        let parameters = function.signature().parameter_names.as_ref().map(Vec::len);
        assert_eq!(parameters, documentation.arguments.as_ref().map(Vec::len), "{name}");
    }
}

#[test]
fn the_page_of_functions_has_every_one_of_them() {
    let page = include_str!("../../../docs/functions.md");
    for function in crate::all() {
        let documentation = function.documentation().expect("every function is documented");
        let example = documentation.sql_example.clone().unwrap_or_default();
        let parts = [&documentation.syntax_example, &documentation.description, &example];
        for part in parts {
            assert!(page.contains(part.as_str()), "{} lacks: {part}", function.name());
        }
    }
}

#[test]
fn examples_are_true_for_constants_and_for_every_layout_of_a_column() {
    for specification in crate::specifications() {
        let (arguments, expected) = specification.example;
        let function = function(specification, || Ok(()));
        let types = vec![DataType::Utf8; arguments.len()];
        assert_eq!(function.coerce_types(&types).unwrap(), types);
        let constants = arguments.iter().map(|text| constant(Some(text))).collect();
        let result = run(&function, constants, 3).unwrap();
        assert!(matches!(result, ColumnarValue::Scalar(_)));
        assert_eq!(shown(&result), expected, "{}", function.name());
        for layout in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View] {
            let column = |text: &&str| {
                let array = StringArray::from(vec![Some(*text), None]);
                ColumnarValue::Array(arrow::compute::cast(&array, &layout).unwrap())
            };
            let result = run(&function, arguments.iter().map(column).collect(), 2).unwrap();
            assert_eq!(shown(&result), expected, "{} of {layout}", function.name());
            assert!(result.into_array(2).unwrap().is_null(1), "{} of null", function.name());
        }
    }
}

#[test]
fn results_have_the_promised_type_also_for_null_and_for_no_rows() {
    for function in crate::all() {
        let count = function.documentation().unwrap().arguments.as_ref().unwrap().len();
        let promised = function.return_type(&[]).unwrap();
        for null in [constant(None), ColumnarValue::Scalar(ScalarValue::Null)] {
            let result = run(&function, vec![null; count], 1).unwrap();
            assert_eq!(result.data_type(), promised, "{}", function.name());
            assert_eq!(shown(&result), "NULL", "{}", function.name());
        }
        let empty = ColumnarValue::Array(Arc::new(StringViewArray::new_null(0)) as ArrayRef);
        let result = run(&function, vec![empty; count], 0).unwrap().into_array(0).unwrap();
        assert_eq!((result.len(), result.data_type()), (0, &promised));
    }
}

#[test]
fn wrong_arguments_are_refused_when_planning() {
    for function in crate::all() {
        let name = function.name();
        assert!(function.coerce_types(&[]).is_err(), "{name}");
        assert!(function.coerce_types(&vec![DataType::Utf8; 5]).is_err(), "{name}");
        let count = function.documentation().unwrap().arguments.as_ref().unwrap().len();
        let message =
            function.coerce_types(&vec![DataType::Binary; count]).unwrap_err().to_string();
        assert!(
            message.contains(&format!("function \"{name}\" does not take Binary")),
            "{message}"
        );
    }
}

#[test]
fn numbers_and_dates_are_taken_as_they_are_written() {
    let function =
        crate::all().into_iter().find(|function| function.name() == "normalize_phone").unwrap();
    let given = [DataType::Int64, DataType::Null];
    assert_eq!(function.coerce_types(&given).unwrap(), [DataType::Utf8, DataType::Utf8View]);
}

#[test]
fn documents_are_worked_through_until_somebody_interrupts() {
    fn interrupted() -> Result<()> {
        datafusion_common::exec_err!("interrupted")
    }
    let found = |row_bytes: usize| {
        let functions = crate::interruptible(interrupted);
        let function = functions.iter().find(|function| function.name() == "json_get_text");
        let document = format!("{{\"a\": \"{}\"}}", "x".repeat(row_bytes));
        let documents = StringArray::from(vec![document.as_str(); 10]);
        let arguments = vec![ColumnarValue::Array(Arc::new(documents)), constant(Some("a"))];
        run(function.unwrap(), arguments, 10)
    };
    assert!(found(1_000).is_ok(), "it is over before anybody asks");
    assert!(found(PACE_BYTES).unwrap_err().to_string().contains("interrupted"));
}
