-- While a channel does not work, nothing overtakes what waits for it.
alter table channel add column held_until integer; -- null: it works, as far as is known
