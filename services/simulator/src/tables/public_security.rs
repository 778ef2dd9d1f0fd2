//! Public security (公安): GA/T element names, pinyin initials.

use domain::date::Day;

use super::table;
use crate::json::{Key, Text, Zoned};

table! {
    /// The resident register 常住人口登记.
    Czrk = "czrk", key rybh, person gmsfhm xm {
        rybh: Key = "Person number in the register (人员编号).",
        gmsfhm: Text = "Citizen id (公民身份号码).",
        xm: Text = "Name (姓名).",
        cym: Text = "Former name (曾用名).",
        xb: Text = "Sex (性别): 0, 1, 2, 9.",
        mz: Text = "Ethnicity (民族): 01 to 56.",
        csrq: Option<Day> = "Birth date (出生日期).",
        hjdqh: Text = "Hukou division (户籍地区划), six digits.",
        hjdz: Text = "Hukou address (户籍地址).",
        xzdqh: Text = "Residence division (现住地区划), twelve digits.",
        xzdz: Text = "Residence address (现住址).",
        swrq: Option<Day> = "Death date (死亡日期).",
        hkzt: Text = "State (户口状态): 1 normal, 2 dead, 3 moved out, 4 army, 5 abroad, 6 sentenced.",
        lxdh: Text = "Phone (联系电话).",
    }
}

table! {
    /// The register of temporary residents 流动人口登记.
    Ldrk = "ldrk", key ldbh, person gmsfhm xm {
        ldbh: Key = "Number of the registration (流动编号).",
        gmsfhm: Text = "Citizen id.",
        xm: Text = "Name.",
        xb: Text = "Sex.",
        csrq: Option<Day> = "Birth date.",
        hjdqh: Text = "Hukou division, six digits.",
        xzdqh: Text = "Residence division, twelve digits.",
        xzdz: Text = "Residence address.",
        djrq: Option<Day> = "Registered on (登记日期).",
        yxqz: Option<Day> = "Valid until (有效期至).",
        zxrq: Option<Day> = "Cancelled on (注销日期).",
        lxdh: Text = "Phone.",
    }
}

table! {
    /// Corrections of numbers 公民身份号码变更.
    Sfhbg = "sfhbg", key bgbh, person gmsfhm_new xm {
        bgbh: Key = "Number of the correction (变更编号).",
        rybh: Text = "Person number in the register.",
        gmsfhm_old: Text = "The number that was wrong.",
        gmsfhm_new: Text = "The number that took its place.",
        xm: Text = "Name.",
        xb: Text = "Sex.",
        bgrq: Option<Day> = "Corrected on (变更日期).",
    }
}

table! {
    /// The heartbeat of a source 心跳: written through its database once a second.
    Heartbeat = "heartbeat", key id {
        id: i64 = "Always 1.",
        ts: Option<Zoned> = "When it was written.",
    }
}
