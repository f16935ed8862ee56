//! The state of the view, and what keys do to it.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The order of the arrays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sort {
    #[default]
    Size,
    Growth,
    Age,
    Holders,
}

impl Sort {
    pub fn name(self) -> &'static str {
        match self {
            Sort::Size => "size",
            Sort::Growth => "growth",
            Sort::Age => "age",
            Sort::Holders => "holders",
        }
    }

    fn next(self) -> Sort {
        match self {
            Sort::Size => Sort::Growth,
            Sort::Growth => Sort::Age,
            Sort::Age => Sort::Holders,
            Sort::Holders => Sort::Size,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    pub sort: Sort,
    /// The chosen array, counted in the order of the sort.
    pub chosen: usize,
    pub is_paused: bool,
}

/// Lines of a page.
const PAGE: usize = 10;

impl View {
    /// Does what a key says, with that many arrays. False: the user quits.
    pub fn press(&mut self, key: KeyEvent, arrays: usize) -> bool {
        let last = arrays.saturating_sub(1);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return false,
            // The terminal sends keys, so the key for an interrupt is one too.
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
            KeyCode::Up | KeyCode::Char('k') => self.chosen = self.chosen.min(last).saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.chosen = (self.chosen + 1).min(last),
            KeyCode::PageUp => self.chosen = self.chosen.min(last).saturating_sub(PAGE),
            KeyCode::PageDown => self.chosen = (self.chosen + PAGE).min(last),
            KeyCode::Home => self.chosen = 0,
            KeyCode::End => self.chosen = last,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('p') => self.is_paused = !self.is_paused,
            _ => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(view: &mut View, code: KeyCode) -> bool {
        view.press(KeyEvent::from(code), 12)
    }

    #[test]
    fn keys_move_within_the_list() {
        let mut view = View::default();
        for (key, chosen) in [
            (KeyCode::Up, 0),
            (KeyCode::Down, 1),
            (KeyCode::PageDown, 11),
            (KeyCode::Down, 11),
            (KeyCode::PageUp, 1),
            (KeyCode::End, 11),
            (KeyCode::Home, 0),
        ] {
            assert!(press(&mut view, key));
            assert_eq!(view.chosen, chosen, "{key:?}");
        }
        view.chosen = 11;
        assert!(view.press(KeyEvent::from(KeyCode::Up), 0) && view.chosen == 0);
    }

    #[test]
    fn sort_goes_round_and_q_quits() {
        let mut view = View::default();
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(view.sort.name());
            assert!(press(&mut view, KeyCode::Char('s')));
        }
        assert_eq!((seen, view.sort), (vec!["size", "growth", "age", "holders"], Sort::Size));
        assert!(press(&mut view, KeyCode::Char('p')) && view.is_paused);
        assert!(!press(&mut view, KeyCode::Char('q')) && !press(&mut view, KeyCode::Esc));
        assert!(!view.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL), 0));
        assert!(press(&mut view, KeyCode::Char('c')));
    }
}
