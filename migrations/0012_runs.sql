-- A run for one person alone says nothing of how the job does.
alter table run add column for_one integer not null default 0 check (for_one in (0, 1));
