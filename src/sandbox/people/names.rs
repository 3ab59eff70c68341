//! Names for made-up people, and where they work.

use std::collections::HashMap;

use super::Dice;

const FIRST: [&str; 64] = [
    "Ada", "Aino", "Alba", "Amara", "Anders", "Anouk", "Arjun", "Asha", "Beatriz", "Birgit", "Bram", "Carla", "Chidi",
    "Clara", "Dana", "Daniel", "Diego", "Edda", "Elif", "Emil", "Emma", "Erik", "Fatima", "Felix", "Freya", "Gaspar",
    "Greta", "Hana", "Hugo", "Ida", "Imran", "Ines", "Iris", "Ivo", "Jana", "Jonas", "Kaia", "Karim", "Kofi", "Lars",
    "Leila", "Lena", "Linus", "Maja", "Marco", "Mei", "Milo", "Nadia", "Nils", "Nora", "Olga", "Omar", "Petra",
    "Priya", "Rafael", "Rosa", "Samir", "Selma", "Sven", "Tariq", "Thea", "Viktor", "Yara", "Yuki",
];

const LAST: [&str; 64] = [
    "Abadi", "Adler", "Almeida", "Andersen", "Bakker", "Banerjee", "Barros", "Becker", "Berg", "Bianchi", "Blom",
    "Borg", "Castro", "Chen", "Costa", "Dahl", "Demir", "Diallo", "Duarte", "Eide", "Eriksen", "Farah", "Ferrari",
    "Fischer", "Garcia", "Haas", "Hansen", "Haugen", "Holm", "Horvat", "Ibrahim", "Ito", "Jansen", "Jensen", "Kaya",
    "Keller", "Kowalski", "Krause", "Kumar", "Larsen", "Lind", "Lopez", "Mensah", "Meyer", "Moreau", "Mori", "Nakano",
    "Novak", "Nowak", "Okafor", "Olsen", "Patel", "Pereira", "Petrov", "Ramos", "Rossi", "Ruiz", "Sato", "Schmidt",
    "Silva", "Solberg", "Tanaka", "Vogel", "Weber",
];

const DEPARTMENTS: [&str; 8] =
    ["Engineering", "Sales", "Support", "Finance", "People", "Marketing", "Operations", "Research"];

/// Hands out names; nobody gets a handle that somebody else has.
#[derive(Debug, Default)]
pub(super) struct Names {
    given: HashMap<(u8, u8), u32>,
}

/// A name and what comes before the `@`.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) first: &'static str,
    pub(super) last: &'static str,
    pub(super) handle: String,
}

impl Names {
    pub(super) fn next(&mut self, dice: &mut Dice) -> Name {
        let (first, last) = (dice.0.u8(0..64), dice.0.u8(0..64));
        let times = self.given.entry((first, last)).or_default();
        *times += 1;
        let number = if *times == 1 { String::new() } else { times.to_string() };
        let (first, last) = (FIRST[usize::from(first)], LAST[usize::from(last)]);
        Name { first, last, handle: format!("{}.{}{number}", first.to_lowercase(), last.to_lowercase()) }
    }
}

/// The department of the person with this number.
pub(super) const fn department(index: u32) -> &'static str {
    DEPARTMENTS[(index / 8 % 8) as usize]
}
