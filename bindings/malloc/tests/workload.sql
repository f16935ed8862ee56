-- A hundred thousand rows, indices, joins, updates, VACUUM: what is selected is compared with a run without the preload.
pragma journal_mode = wal;
pragma cache_size = 300;
create table item (id integer primary key, name text not null, price real, tag integer);
create table sale (id integer primary key, item integer references item (id), amount integer, note text);
with recursive n (i) as (select 1 union all select i + 1 from n where i < 100000)
insert into item select i, 'item ' || (i * 7919 % 100003), i % 1000 / 7.0, i % 97 from n;
with recursive n (i) as (select 1 union all select i + 1 from n where i < 100000)
insert into sale select i, i * 31 % 100000 + 1, i % 13, substr('a note that is longer than others', 1, i % 33) from n;
create index item_by_name on item (name);
create index item_by_tag on item (tag, price);
create index sale_by_item on sale (item);
select count(*), sum(length(name)), round(sum(price), 3) from item;
select tag, count(*), round(sum(price * amount), 2) from item join sale on sale.item = item.id group by tag order by 3 desc limit 10;
select name, (select sum(amount) from sale where sale.item = item.id) as sold from item where name like 'item 12%' order by sold desc, name limit 20;
select group_concat(name, ',') from (select name from item order by name desc limit 50);
begin;
update item set price = price * 1.1 where tag % 2 = 0;
update sale set note = note || note where amount > 6;
delete from sale where amount = 3;
delete from item where id % 10 = 7;
commit;
analyze;
vacuum;
pragma integrity_check;
select count(*), round(sum(price), 3) from item;
select count(*), sum(length(note)) from sale;
with recursive fib (n, a, b) as (select 1, 0, 1 union all select n + 1, b, a + b from fib where n < 60) select max(a) from fib;
select tag, price, rank() over (partition by tag order by price desc, id) as place from item where tag < 3 order by tag, place limit 30;
