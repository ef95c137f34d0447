{#- Delta's log as the increments read it. -#}

{#-
  The latest commits of a table, newest first: {version, at, note, batches, changes_rows}, back to `version` at least.
-#}
{% macro commits_since(relation, version=none) -%}
  {%- set commits = read_commits(relation, 40) -%}
  {%- if version is not none and commits | length == 40 and commits[-1].version > version -%}
    {%- set commits = read_commits(relation, none) -%}
  {%- endif -%}
  {%- do return(commits) -%}
{%- endmacro %}

{% macro read_commits(relation, limit) -%}
  {#- Operations that leave the rows as they are. -#}
  {%- set harmless = [
    'CHANGE COLUMN', 'CHANGE COLUMNS', 'SET TBLPROPERTIES', 'UNSET TBLPROPERTIES', 'ADD CONSTRAINT', 'DROP CONSTRAINT',
    'UPGRADE PROTOCOL', 'OPTIMIZE', 'VACUUM START', 'VACUUM END', 'COMPUTE STATS', 'CLUSTER BY', 'SET TABLE COMMENT',
  ] -%}
  {#- Our plugin reads them from the log, where the table lies on this machine: dbt_lakehouse.py. -#}
  {%- set rows = none -%}
  {%- if adapter.local_commits is defined -%}
    {%- set rows = adapter.local_commits(relation.schema, relation.identifier, limit) -%}
  {%- endif -%}
  {%- if rows is none -%}
    {%- set rows = run_query('describe history ' ~ relation ~ (' limit ' ~ limit if limit else '')).rows -%}
  {%- endif -%}
  {%- set commits = [] -%}
  {%- for row in rows -%}
    {%- set note = fromjson(row.userMetadata) if row.userMetadata and row.userMetadata[:1] == '{' else none -%}
    {%- do commits.append({
      'version': row.version | int,
      'at': row.timestamp | string,
      'note': note if note and 'read' in note else none,
      'batches': note.batches if note and 'batches' in note else none,
      'changes_rows': row.operation not in harmless,
    }) -%}
  {%- endfor -%}
  {%- do return(commits) -%}
{%- endmacro %}

{#- The note of the last commit that wrote rows; {} if that was not one of ours. -#}
{% macro last_note(relation) -%}
  {%- for commit in read_commits(relation, 40) if commit.changes_rows -%}
    {%- do return(commit.note or {}) -%}
  {%- endfor -%}
  {%- do return({}) -%}
{%- endmacro %}

{#- The version of a table that `published.<table>` stands on. -#}
{% macro published_version(table) -%}
  {%- set rows = run_query(
    "select max_by(version, struct(published_at, release_id)) as version from lakehouse.publications "
    ~ "where table_name = '" ~ table.schema ~ '.' ~ table.identifier ~ "'"
  ).rows -%}
  {%- do return(rows[0].version | int if rows and rows[0].version is not none else none) -%}
{%- endmacro %}
