//! Human resources (人力资源社会保障): 金保工程 column names.

use domain::date::Day;

use super::table;
use crate::json::{Cents, Key, Micros, Text, Zoned};

table! {
    /// Persons 个人基本信息.
    Ac01 = "ac01", key aac001, person aac147 aac003 {
        aac001: i64 = "Person number in this system (个人编号).",
        aac058: Text = "Document type (证件类型).",
        aac147: Text = "Document number (证件号码).",
        aac003: Text = "Name.",
        aac004: Text = "Sex.",
        aac005: Text = "Ethnicity.",
        aac006: Option<Day> = "Birth date.",
        aac009: Text = "Hukou type (户口性质): 10, 20, …",
        aac016: Text = "Employment status (就业状态), GB/T 2261.4.",
        aac012: Text = "Post (岗位): 1 worker, 2 cadre.",
        aac161: Text = "Nationality (国籍), ISO alpha-3.",
        aae005: Text = "Phone.",
        aae006: Text = "Address.",
        aab301: Text = "Division, six digits.",
    }
}

table! {
    /// Employers 单位基本信息: entities, not persons.
    Ab01 = "ab01", key aab001 {
        aab001: Key = "Unit number in this system (单位编号).",
        aab003: Text = "Unified social credit code or organisation code.",
        aab004: Text = "Name.",
        aab019: Text = "Type (单位类型): 10, 20, 30, 50.",
        aab301: Text = "Division, six digits.",
    }
}

table! {
    /// Employments 就业登记.
    Ac21 = "ac21", key bac001, person aac147 aac003 {
        bac001: i64 = "Key.",
        aac058: Text = "Document type.",
        aac147: Text = "Document number.",
        aac003: Text = "Name.",
        aac006: Option<Day> = "Birth date.",
        aab001: Text = "Unit number.",
        aab004: Text = "Name of the unit.",
        aab019: Text = "Type of the unit.",
        aac013: Text = "Form (用工形式): 1 full time, 2 part time, 3 intern, 4 dispatched.",
        aae030: Option<Day> = "First day.",
        aae031: Option<Day> = "Last day.",
        aab301: Text = "Division, six digits.",
    }
}

table! {
    /// Enrolments 参保, one row per scheme.
    Ac02 = "ac02", key baz001, person aac002 aac003 {
        baz001: i64 = "Key.",
        aac002: Text = "Social security number.",
        aac003: Text = "Name.",
        aae140: Text = "Scheme (险种).",
        aac031: Text = "Status (缴费状态): 1 paying, 2 suspended, 3 ended.",
        aae030: Option<Day> = "First day of the relation.",
        aae031: Option<Day> = "Last day of the relation.",
        aac049: Option<i32> = "First month, yyyymm.",
        aae003: Option<i32> = "Paid through this month, yyyymm.",
        aab001: Text = "Unit number of the paying unit.",
        aae180: Option<Cents> = "Monthly base (缴费基数), yuan.",
        aae100: Option<bool> = "Whether the row is valid.",
        aae036: Option<Micros> = "When the clerk handled it.",
        utime: Option<Zoned> = "When the row was last written.",
        zp: Text = "A photo nobody fills.",
        note: Text = "A remark.",
        aab301: Text = "Place of enrolment, six digits.",
        aaz289: Text = "1 while a transfer is in progress (转移接续).",
        aaz288: Option<i32> = "Deferral approved until this month (缓缴), yyyymm.",
    }
}

table! {
    /// Benefits 待遇.
    Ac60 = "ac60", key aaz257, person aac147 aac003 {
        aaz257: i64 = "Key.",
        aac147: Text = "Document number.",
        aac003: Text = "Name.",
        aae140: Text = "Scheme that pays.",
        aaa036: Text = "Kind: pension, unemployment, injury, maternity.",
        aae030: Option<Day> = "First day.",
        aae031: Option<Day> = "Last day.",
        aae116: Text = "Status: 1 drawing, 2 suspended, 3 ended.",
        aab301: Text = "Place, six digits.",
    }
}

table! {
    /// Social security cards 社会保障卡.
    Az01 = "az01", key aaz500, person aac147 aac003 {
        aaz500: Key = "Card number.",
        aac147: Text = "Document number.",
        aac003: Text = "Name.",
        aaz502: Text = "Status: 1 active, 2 lost, 3 cancelled.",
        aae030: Option<Day> = "Issued on.",
    }
}
