-- Trouble that goes back and forth between causes, or comes in stages, is told once each; what two jobs notice, once.
alter table cause add column causes text not null default '[]' check (json_valid(causes)); -- all that was told, the newest last
alter table cause add column manner text not null default 'lasting'
    check (manner in ('lasting', 'passing', 'staged', 'fading'));
update cause set causes = json_array(cause), manner = case passing when 1 then 'passing' else 'lasting' end;
alter table cause drop column passing;

alter table notice add column key text; -- the name of the trouble that it tells of; null: of none
create index notice_by_key on notice (key, made_at) where key is not null;
