-- Entries of an import in the order in which they are listed, a kind at a time, without reading those that are not shown.
create index directory_entry_in_order
    on directory_entry (job, kind, guest, disabled, login, upn, id, first_import, last_import);
