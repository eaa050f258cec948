//! The affected versions of each CVE, branch by branch: the kernel CNA's own records.
//!
//! Made by `cargo run -p sigward-quirks -- import FOLDER`; do not edit.

use super::ranges::{Ranges, Record, v};

/// In the order of their ids.
pub static RECORDS: &[Record] = &[
    Record {
        cve: "CVE-2021-47226",
        ranges: Ranges {
            since: Some(v(5, 2, 0)),
            spans: &[],
            fixed: &[v(5, 10, 46), v(5, 12, 13)],
            mainline: Some(v(5, 13, 0)),
            ..Ranges::NONE
        },
        introduced: &["1d731e731c4c"],
        commits: &["a7748e021b9f", "002665dcba4b", "d8778e393afa"],
    },
    Record {
        cve: "CVE-2021-47227",
        ranges: Ranges {
            since: Some(v(5, 8, 0)),
            spans: &[],
            fixed: &[v(5, 10, 46), v(5, 12, 13)],
            mainline: Some(v(5, 13, 0)),
            ..Ranges::NONE
        },
        introduced: &["b860eb8dce59"],
        commits: &["076f732b16a5", "ec25ea1f3f05", "484cea4f362e"],
    },
    Record {
        cve: "CVE-2022-49164",
        ranges: Ranges {
            since: Some(v(3, 9, 0)),
            spans: &[],
            fixed: &[v(5, 15, 54), v(5, 17, 2)],
            mainline: Some(v(5, 18, 0)),
            ..Ranges::NONE
        },
        introduced: &["98ae22e15b43"],
        commits: &["5dce84f475d1", "73d8082c90f1", "9d71165d3934"],
    },
    Record {
        cve: "CVE-2023-53184",
        ranges: Ranges {
            since: None,
            spans: &[(v(6, 1, 42), v(6, 1, 43)), (v(6, 4, 7), v(6, 4, 8))],
            fixed: &[],
            mainline: None,
            ..Ranges::NONE
        },
        introduced: &["aa5cf8bd1318", "292f0453b0d0", "d4d5be94a878"],
        commits: &["356e711640ae", "807ada0e4aa3", "05d881b85b48"],
    },
    Record {
        cve: "CVE-2023-53713",
        ranges: Ranges {
            since: Some(v(5, 16, 0)),
            spans: &[],
            fixed: &[v(6, 1, 39), v(6, 3, 13), v(6, 4, 4)],
            mainline: Some(v(6, 5, 0)),
            ..Ranges::NONE
        },
        introduced: &["9f5848665788"],
        commits: &["97669214944e", "8769a62faacb", "1403a899153a", "893b24181b4c"],
    },
    Record {
        cve: "CVE-2024-26603",
        ranges: Ranges {
            since: Some(v(5, 14, 0)),
            spans: &[],
            fixed: &[v(5, 15, 150), v(6, 1, 79), v(6, 6, 18), v(6, 7, 6)],
            mainline: Some(v(6, 8, 0)),
            ..Ranges::NONE
        },
        introduced: &["fcb3635f5018"],
        commits: &["8bd3eee7720c", "627339cccdc9", "b2479ab426ce", "627e28cbb655", "d877550eaf2d"],
    },
    Record {
        cve: "CVE-2024-26618",
        ranges: Ranges {
            since: Some(v(6, 5, 0)),
            spans: &[(v(6, 1, 47), v(6, 1, 140)), (v(6, 4, 12), v(6, 5, 0))],
            fixed: &[v(6, 1, 140), v(6, 6, 15), v(6, 7, 3)],
            mainline: Some(v(6, 8, 0)),
            ..Ranges::NONE
        },
        introduced: &["21614ba60883", "5d0a8d2fba50", "e01af8e26c23"],
        commits: &["f6421555dbd7", "569156e4fa34", "814af6b4e600", "dc7eb8755797"],
    },
    Record {
        cve: "CVE-2024-35801",
        ranges: Ranges {
            since: Some(v(5, 16, 0)),
            spans: &[],
            fixed: &[v(6, 1, 84), v(6, 6, 24), v(6, 7, 12), v(6, 8, 3)],
            mainline: Some(v(6, 9, 0)),
            ..Ranges::NONE
        },
        introduced: &["672365477ae8"],
        commits: &["21c7c00dae55", "1acbca933313", "92b0f04e9376", "b61e3b7055ac", "10e4b5166df9"],
    },
    Record {
        cve: "CVE-2024-35873",
        ranges: Ranges {
            since: Some(v(6, 8, 0)),
            spans: &[],
            fixed: &[v(6, 8, 5)],
            mainline: Some(v(6, 9, 0)),
            ..Ranges::NONE
        },
        introduced: &["c2a658d41924"],
        commits: &["5b16d904e910", "c27fa53b858b"],
    },
    Record {
        cve: "CVE-2024-43865",
        ranges: Ranges {
            since: Some(v(6, 9, 0)),
            spans: &[],
            fixed: &[v(6, 10, 4)],
            mainline: Some(v(6, 11, 0)),
            ..Ranges::NONE
        },
        introduced: &["8c09871a950a"],
        commits: &["494b14138201", "4734406c3923"],
    },
    Record {
        cve: "CVE-2024-50271",
        ranges: Ranges {
            since: Some(v(5, 14, 0)),
            spans: &[],
            fixed: &[v(6, 1, 117), v(6, 6, 61), v(6, 11, 8)],
            mainline: Some(v(6, 12, 0)),
            ..Ranges::NONE
        },
        introduced: &["d64696905554"],
        commits: &["012f4d5d25e9", "4877d9b2a2eb", "0208ea17a1e4", "9e05e5c7ee87"],
    },
    Record {
        cve: "CVE-2024-50275",
        ranges: Ranges {
            since: Some(v(5, 13, 0)),
            spans: &[],
            fixed: &[v(5, 15, 174), v(6, 1, 120), v(6, 6, 61), v(6, 11, 8)],
            mainline: Some(v(6, 12, 0)),
            ..Ranges::NONE
        },
        introduced: &["cccb78ce89c4"],
        commits: &["51d3d80a6dc3", "de529504b327", "51d11ea0250d", "fa9ce027b3ce", "751ecf6afd65"],
    },
    Record {
        cve: "CVE-2025-22013",
        ranges: Ranges {
            since: Some(v(6, 2, 0)),
            spans: &[],
            fixed: &[v(6, 6, 85), v(6, 12, 21), v(6, 13, 9)],
            mainline: Some(v(6, 14, 0)),
            ..Ranges::NONE
        },
        introduced: &["c4ab60a86c5e", "d5f7d3833b53", "93ae6b01bafe"],
        commits: &["5289ac43b69c", "04c50cc23a49", "806d5c1e1d2e", "79e140bba70b", "900b444be493", "fbc7e61195e2"],
    },
    Record {
        cve: "CVE-2025-37991",
        ranges: Ranges {
            since: Some(v(2, 6, 12)),
            spans: &[],
            fixed: &[v(5, 4, 294), v(5, 10, 238), v(5, 15, 182), v(6, 1, 138), v(6, 6, 90), v(6, 12, 28), v(6, 14, 6)],
            mainline: Some(v(6, 15, 0)),
            ..Ranges::NONE
        },
        introduced: &["1da177e4c3f4"],
        commits: &["2a1aff3616b3", "757ba4d17b86", "ec4584495868", "6c639af49e9e", "6a098c51d18e", "cf21e890f56b", "df3592e493d7", "de3629baf5a3"],
    },
    Record {
        cve: "CVE-2025-38170",
        ranges: Ranges {
            since: Some(v(5, 19, 0)),
            spans: &[],
            fixed: &[v(6, 1, 142), v(6, 6, 94), v(6, 12, 34), v(6, 15, 3)],
            mainline: Some(v(6, 16, 0)),
            ..Ranges::NONE
        },
        introduced: &["8bd7f91c03d8"],
        commits: &["de89368de389", "43be952e8854", "6103f9ba51a5", "c4a4786d93e9", "d3eaab3c7090"],
    },
    Record {
        cve: "CVE-2025-38435",
        ranges: Ranges {
            since: Some(v(6, 14, 0)),
            spans: &[],
            fixed: &[v(6, 15, 5)],
            mainline: Some(v(6, 16, 0)),
            ..Ranges::NONE
        },
        introduced: &["d863910eabaf"],
        commits: &["dd5ceea8d50e", "4262bd0d9cc7"],
    },
    Record {
        cve: "CVE-2025-68171",
        ranges: Ranges {
            since: Some(v(5, 16, 0)),
            spans: &[],
            fixed: &[v(6, 1, 159), v(6, 6, 117), v(6, 12, 58), v(6, 17, 8)],
            mainline: Some(v(6, 18, 0)),
            ..Ranges::NONE
        },
        introduced: &["672365477ae8"],
        commits: &["eefbfb722042", "1811c610653c", "5b2619b488f1", "3f735419c4b4", "388eff894d6b"],
    },
    Record {
        cve: "CVE-2026-23102",
        ranges: Ranges {
            since: Some(v(5, 19, 0)),
            spans: &[],
            fixed: &[v(6, 1, 162), v(6, 6, 123), v(6, 18, 8)],
            mainline: Some(v(6, 19, 0)),
            ..Ranges::NONE
        },
        introduced: &["85ed24dad290"],
        commits: &["9bc3adba8c35", "ce820dd4e6e2", "7b5a52cf252a", "d2907cbe9ea0"],
    },
    Record {
        cve: "CVE-2026-23107",
        ranges: Ranges {
            since: Some(v(5, 19, 0)),
            spans: &[],
            fixed: &[v(6, 1, 162), v(6, 6, 122), v(6, 12, 68), v(6, 18, 8)],
            mainline: Some(v(6, 19, 0)),
            ..Ranges::NONE
        },
        introduced: &["39782210eb7e"],
        commits: &["c5a5b150992e", "19b2c3f3ca1b", "0af233d66eff", "70f7f54566af", "ea8ccfddbce0"],
    },
    Record {
        cve: "CVE-2026-23345",
        ranges: Ranges {
            since: Some(v(6, 13, 0)),
            spans: &[],
            fixed: &[v(6, 18, 17), v(6, 19, 7)],
            mainline: Some(v(7, 0, 0)),
            ..Ranges::NONE
        },
        introduced: &["6497b66ba694"],
        commits: &["ca1684dd297b", "1df3ef7e612d", "8a85b3131225"],
    },
    Record {
        cve: "CVE-2026-43109",
        ranges: Ranges {
            since: Some(v(6, 6, 0)),
            spans: &[],
            fixed: &[v(6, 6, 140), v(6, 12, 88), v(6, 18, 24), v(6, 19, 14)],
            mainline: Some(v(7, 0, 0)),
            ..Ranges::NONE
        },
        introduced: &["7fad2a432cd3"],
        commits: &["c79cf4232160", "1a30468eff66", "c64cebcc5c4f", "262b6d38a81d", "52f657e34d7b"],
    },
    Record {
        cve: "CVE-2026-45876",
        ranges: Ranges {
            since: Some(v(6, 13, 0)),
            spans: &[],
            fixed: &[v(6, 18, 14), v(6, 19, 4)],
            mainline: Some(v(7, 0, 0)),
            ..Ranges::NONE
        },
        introduced: &["b57180c75c7e"],
        commits: &["c787a235deb3", "a4741114c962", "53c998527ffa"],
    },
    Record {
        cve: "CVE-2026-46063",
        ranges: Ranges {
            since: Some(v(6, 6, 0)),
            spans: &[],
            fixed: &[v(6, 6, 140), v(6, 12, 88), v(6, 18, 27), v(7, 0, 4)],
            mainline: Some(v(7, 1, 0)),
            ..Ranges::NONE
        },
        introduced: &["7fad2a432cd3"],
        commits: &["e2c2b044458c", "d042d69b4175", "4f3374c990fb", "3d29db827502", "9874b2917b9f"],
    },
    Record {
        cve: "CVE-2026-53352",
        ranges: Ranges {
            since: Some(v(3, 0, 0)),
            spans: &[],
            fixed: &[v(5, 10, 259), v(5, 15, 210), v(6, 1, 176), v(6, 6, 143), v(6, 12, 94), v(6, 18, 36), v(7, 0, 13)],
            mainline: Some(v(7, 1, 0)),
            ..Ranges::NONE
        },
        introduced: &["39efa3ef3a37"],
        commits: &["2b32b2fb2414", "391ebe74456a", "f8d720bc2e35", "f4aae11abb44", "76aebd9ef200", "8c046f36222c", "dfcd0ba14769", "90918794a4e2"],
    },
    Record {
        cve: "CVE-2026-64082",
        ranges: Ranges {
            since: Some(v(5, 19, 0)),
            spans: &[],
            fixed: &[v(7, 0, 11)],
            mainline: Some(v(7, 1, 0)),
            ..Ranges::NONE
        },
        introduced: &["7383ee05314b"],
        commits: &["9e020156833f", "6ebcbb53fc9b"],
    },
];
