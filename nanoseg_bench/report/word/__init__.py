"""The Word report: real styles, numbered captions, native charts, tables that break well."""
