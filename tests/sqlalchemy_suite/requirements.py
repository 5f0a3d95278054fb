"""What the suite may expect of onefold: what PostgreSQL has and onefold promises, and what it does not, with the reason."""

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

# What the suite expects of no database unless it is told to.
PROMISED = """
    aggregate_order_by array_type autocommit boolean_col_expressions comment_reflection
    comment_reflection_full_unicode create_or_replace_view create_table_as create_temp_table_as ctes ctes_on_dml
    ctes_with_update_delete ctes_with_values date_historic datetime_historic datetime_interval datetime_literals
    datetime_timezone datetime_timezone_historic default_schema_name_switch delete_from except_ fetch_expression
    fetch_first fetch_no_order_by fetch_offset_with_options fetch_ties
    float_or_double_precision_behaves_generically has_temp_table infinity_floats intersect isolation_level json_type mod_operator_as_percent_sign nullsordering
    precision_numerics_enotation_large precision_numerics_enotation_small precision_numerics_many_significant_digits
    precision_numerics_retains_significant_digits reflect_table_options reflects_pk_names regexp_match regexp_replace
    savepoints schema_create_delete skip_autocommit_rollback supports_bitwise_and supports_bitwise_not
    supports_bitwise_or supports_bitwise_shift supports_bitwise_xor supports_distinct_on table_ddl_if_exists
    table_value_constructor temp_table_comment_reflection temp_table_names timestamp_microseconds tuple_in
    tuple_in_w_empty unbounded_varchar update_from uuid_data_type views window_functions window_range
    window_range_numeric
    server_defaults expression_server_defaults identity_columns sequences sequences_optional materialized_views
    temporary_views named_constraints percent_schema_names unicode_ddl implicitly_named_constraints
    computed_columns computed_columns_default_persisted computed_columns_reflect_persisted computed_columns_stored
    cross_schema_fk_reflection foreign_keys foreign_key_constraint_reflection self_referential_foreign_keys
    foreign_key_constraint_option_reflection_ondelete foreign_key_constraint_option_reflection_onupdate
    fk_constraint_option_reflection_ondelete_noaction fk_constraint_option_reflection_ondelete_restrict
    fk_constraint_option_reflection_onupdate_restrict
""".split()

COMMENTS = "constraints are listed, and have no comments, which the suite expects"
INDEXES = "files are sorted and have statistics: CREATE INDEX has nothing to do, and nothing is listed"
NAMES = "names of columns do not begin with an underscore, as those of the lake's own columns do"

NOT_PROMISED = {
    "check_constraint_reflection": COMMENTS,
    "inline_check_constraint_reflection": COMMENTS,
    "unique_constraint_reflection": COMMENTS,
    "fetch_percent": "PostgreSQL has none",
    "index_ddl_if_exists": INDEXES,
    "index_reflection": INDEXES,
    "indexes_with_ascdesc": INDEXES,
    "reflect_indexes_with_ascdesc": INDEXES,
    "temp_table_reflect_indexes": INDEXES,
    "two_phase_transactions": "PREPARE TRANSACTION is not built",
    "unusual_column_name_characters": NAMES,
}


class Requirements(SuiteRequirements):
    """The requirements by name; those that neither list has are as SQLAlchemy has them."""

    def get_order_by_collation(self, config):
        return "C"


def promised(name: str) -> None:
    setattr(Requirements, name, property(lambda self: exclusions.open()))


def not_promised(name: str, reason: str) -> None:
    skip = exclusions.skip_if(exclusions.BooleanPredicate(True, reason))
    setattr(Requirements, name, property(lambda self: skip))


for name in PROMISED:
    promised(name)
for name, reason in NOT_PROMISED.items():
    not_promised(name, reason)
