//! Histories with versions of which only the key could be read.

use crate::histories::{Ground, History, Said, sequences};

/// Histories of one card over `length` versions of which some could not be read: any of the numbers, a delete by key alone.
pub fn of_a_card(ground: &Ground, length: u32) -> Vec<History> {
    let choices = [Said::Card(0), Said::Card(1), Said::Card(2), Said::Gone, Said::Unread];
    let gone = |said: &Said| matches!(said, Said::Gone);
    let is_told = |said: &Vec<Said>| {
        let read = said.iter().any(|said| matches!(said, Said::Card(_)));
        // In the shard of the first number alone nothing else is claimed; the second of them is alike.
        let first_alone = !said.contains(&Said::Card(0)) && said.contains(&Said::Card(1));
        read && said.contains(&Said::Unread)
            && !first_alone
            && !gone(&said[0])
            && said.windows(2).all(|pair| pair[0] != pair[1] || pair[0] == Said::Unread)
    };
    let said = sequences(&choices, length).into_iter().filter(is_told);
    said.map(|said| History::new(ground, &[said], None)).collect()
}

/// Histories in which a card that follows a correction as a guest cannot be read any more, and can again.
pub fn with_guests(ground: &Ground) -> Vec<History> {
    let cards: [&[Said]; 4] = [
        &[Said::Card(0), Said::Unread],
        &[Said::Unread, Said::Card(0)],
        &[Said::Card(0), Said::Unread, Said::Card(0)],
        &[Said::Card(0), Said::Unread, Said::Gone],
    ];
    let histories = cards.into_iter().flat_map(|card| {
        [vec![Said::Correction(0, 2)], vec![Said::Correction(0, 2), Said::Gone]]
            .map(|correction| History::new(ground, &[card.to_vec(), correction], None))
    });
    histories.collect()
}
