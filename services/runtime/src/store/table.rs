//! Tables as lists of columns: one list makes the COPY, the temporary table and the update, so that they cannot drift apart.

/// A table that is written in bulk.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name in schema `store`.
    pub name: &'static str,
    /// The columns that name a row.
    pub key: &'static [&'static str],
    /// The other columns, in the order in which rows are made.
    pub values: &'static [&'static str],
    /// A further condition of updates, on `t` (the row) and `u` (its update).
    pub only_if: &'static str,
}

impl Table {
    /// Number of columns.
    pub const fn columns(&self) -> i16 {
        (self.key.len() + self.values.len()) as i16
    }

    fn list(&self) -> String {
        let columns: Vec<&str> = self.key.iter().chain(self.values).copied().collect();
        columns.join(", ")
    }

    /// Copies rows into it.
    pub fn copy(&self) -> String {
        format!("copy store.{} ({}) from stdin (format binary)", self.name, self.list())
    }

    /// Makes the temporary table for rows on their way into an update; it empties itself at commit.
    pub fn make_temporary(&self) -> String {
        format!(
            "create temp table if not exists {0}_update on commit delete rows as select {1} from store.{0} where false",
            self.name,
            self.list()
        )
    }

    /// Copies rows into the temporary table.
    pub fn copy_update(&self) -> String {
        format!(
            "copy pg_temp.{}_update ({}) from stdin (format binary)",
            self.name,
            self.list()
        )
    }

    /// Updates rows that exist from the temporary table.
    pub fn update(&self) -> String {
        let set: Vec<String> = self.values.iter().map(|column| format!("{column} = u.{column}")).collect();
        let same: Vec<String> = self.key.iter().map(|column| format!("t.{column} = u.{column}")).collect();
        format!(
            "update store.{0} t set {1} from pg_temp.{0}_update u where {2}{3}",
            self.name,
            set.join(", "),
            same.join(" and "),
            self.only_if
        )
    }

    /// Puts rows from the temporary table, whether they exist or not.
    pub fn upsert(&self) -> String {
        let set: Vec<String> = self
            .values
            .iter()
            .map(|column| format!("{column} = excluded.{column}"))
            .collect();
        format!(
            "insert into store.{0} ({1}) select {1} from pg_temp.{0}_update on conflict ({2}) do update set {3}",
            self.name,
            self.list(),
            self.key.join(", "),
            set.join(", ")
        )
    }
}
