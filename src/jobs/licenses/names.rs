//! What people call a product.

/// Part numbers and Microsoft's names for them; the file says where they come from.
const PRODUCTS: &str = include_str!("products.csv");

/// The published name of a product; else its part number, else its GUID.
pub(in crate::jobs) fn name_of<'a>(part_number: &'a str, sku: &'a str) -> &'a str {
    let rows = PRODUCTS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(','));
    let published = rows.filter(|(known, _)| known.eq_ignore_ascii_case(part_number)).map(|(_, name)| name).next();
    published.unwrap_or(if part_number.is_empty() { sku } else { part_number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_has_its_published_name_or_its_number_or_its_id() {
        assert_eq!(name_of("SPE_E3", "g"), "Microsoft 365 E3");
        assert_eq!(
            name_of("developerpack_e5", "g"),
            "Microsoft 365 E5 Developer (without Windows and Audio Conferencing)"
        );
        assert_eq!(name_of("SOMETHING_NEW", "g"), "SOMETHING_NEW");
        assert_eq!(name_of("", "c42b9cae-ea4f-4ab7-9717-81576235ccac"), "c42b9cae-ea4f-4ab7-9717-81576235ccac");
    }

    #[test]
    fn the_table_has_each_product_once_and_in_order() {
        let rows: Vec<&str> = PRODUCTS.lines().filter(|line| !line.starts_with('#')).collect();
        let known = |row: &&str| row.split_once(',').expect("a number and a name").0.to_lowercase();
        let numbers: Vec<String> = rows.iter().map(known).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
        assert!(rows.iter().all(|row| row.split(',').all(|part| !part.trim().is_empty())));
    }
}
