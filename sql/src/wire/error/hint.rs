//! What to do about an error of which nothing more is known than its SQLSTATE.

/// Returns what can be done about an error that says nothing itself.
pub(crate) fn usual_hint(sqlstate: &str) -> Option<&'static str> {
    Some(match sqlstate {
        "08P01" => "Send a value for each parameter of the statement, and for no other.",
        "21000" => "Add LIMIT 1, an aggregate such as max(...), or a condition that one row meets.",
        "22003" => "Cast to bigint or numeric before the computation.",
        "22012" => "Divide by nullif(value, 0): the result is null where the value is zero.",
        "2201E" | "2201F" => {
            "Leave out the rows with such values, or put null in their place with CASE."
        }
        "2201W" | "2201X" => "Give a number that is not negative, or null for all rows.",
        "22021" => "Send the statement in UTF-8.",
        "22P02" | "22007" | "22008" => {
            "Check the value, or leave out the rows that do not have the form of the type."
        }
        "25001" => "End the transaction block first: COMMIT or ROLLBACK.",
        "25P01" => "Begin a transaction block first: BEGIN.",
        "25P02" => "ROLLBACK ends the block, ROLLBACK TO goes back to a savepoint in it.",
        "26000" => "PREPARE name AS ... first; a prepared statement lives as long as its session.",
        "34000" => {
            "DECLARE name CURSOR FOR ... first; a cursor without hold ends with its transaction."
        }
        "3B001" => "Set it first in this transaction block: SAVEPOINT name.",
        "42501" => "Ask who defines roles and purposes here; cdp.my_access shows what you may.",
        "42601" => "Check the statement before this place.",
        "42701" => "Give one of the two another name with AS.",
        "42702" => "Write the name of the relation before it.",
        "42703" => "\\d name lists the columns of a relation.",
        "42803" => "Add the column to GROUP BY, or aggregate it.",
        "42804" => "Cast one of the values: CAST(value AS type).",
        "42846" => "Cast to text first, or compute the value with CASE.",
        "42883" => "Check the name and the number of arguments, or cast them: CAST(value AS type).",
        "42P01" => "\\d or information_schema.tables lists the relations that you can read.",
        "42P02" => "Values for parameters come with the extended protocol or with EXECUTE.",
        "42P03" => "CLOSE name first, or choose another name.",
        "42P05" => "DEALLOCATE name first, or choose another name.",
        "42P18" => "Cast the parameter: $1::text.",
        _ => return None,
    })
}
