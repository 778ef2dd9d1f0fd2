//! Civil affairs (民政): an exchange database that loads fill.

use domain::date::Day;

use super::table;
use crate::json::{Text, Zoned};

table! {
    /// Funerals 殡葬.
    Funeral = "funeral", key id, person sfzh xm {
        id: i64 = "Key.",
        sfzh: Text = "Document number (身份证号).",
        xm: Text = "Name.",
        xb: Text = "Sex.",
        csrq: Option<Day> = "Birth date.",
        swrq: Option<Day> = "Death date.",
        hhrq: Option<Day> = "Cremation date (火化日期).",
    }
}

table! {
    /// Marriage registrations 婚姻登记, one row per person.
    Marriage = "marriage", key id, person sfzh xm {
        id: i64 = "Key.",
        sfzh: Text = "Document number.",
        xm: Text = "Name.",
        hyzk: Text = "Marital status (婚姻状况): 10, 20 to 23, 30, 40, 90.",
        djrq: Option<Day> = "Registered on.",
    }
}

table! {
    /// Social assistance 社会救助.
    Hardship = "hardship", key id, person sfzh xm {
        id: i64 = "Key.",
        sfzh: Text = "Document number.",
        xm: Text = "Name.",
        lb: Text = "Kind (类别): dibao, tekun, orphan.",
        ksrq: Option<Day> = "First day (开始日期).",
        jsrq: Option<Day> = "Last day (结束日期).",
        dqh: Text = "Division (地区号), six digits.",
    }
}

table! {
    /// Batches loaded into the exchange database 批次表.
    BatchControl = "batch_control", key id {
        id: i64 = "Key.",
        data_date: Option<Day> = "The day the data are of (数据日期).",
        row_count: Option<i32> = "Rows loaded.",
        loaded_at: Option<Zoned> = "When the load ended.",
    }
}
