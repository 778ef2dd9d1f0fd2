use super::*;

fn state(revision: u32, open: bool, baseline: bool) -> State {
    State {
        stage: Stage::Before,
        revision,
        open,
        baseline,
        told: [1; 16],
        whole: [2; 16],
    }
}

fn alert(revision: u32, action: EventKind) -> Alert {
    Alert {
        stage: Stage::Before,
        revision,
        action,
        whole: [2; 16],
    }
}

fn known(revision: u32, open: bool) -> Known {
    Known {
        revision,
        open,
        told: [1; 16],
    }
}

#[test]
fn the_last_state_is_what_is_announced() {
    let told = |known: Option<Known>, last: Option<State>| of_state(known.as_ref(), last.as_ref());
    assert_eq!(told(None, None), None);
    assert_eq!(told(Some(known(2, true)), Some(state(2, true, false))), None);
    for (announced, last, problem) in [
        (Some(known(1, true)), None, "announced, not told"),
        (None, Some(state(1, true, false)), "told, not announced"),
        (
            Some(known(7, true)),
            Some(state(1, true, false)),
            "told with revision 1, announced with 7",
        ),
        (
            Some(known(1, false)),
            Some(state(1, true, false)),
            "told otherwise than announced",
        ),
    ] {
        assert_eq!(told(announced, last).as_deref(), Some(problem));
    }
}

#[test]
fn alerts_are_dense_and_alternate() {
    use EventKind::{Amend, Clear, Open};
    let told = |known: Known, states: &[State], alerts: &[Alert]| of_alerts(Some(&known), states, alerts);
    let full = [alert(1, Open), alert(2, Amend), alert(3, Clear), alert(4, Open)];
    assert_eq!(told(known(4, true), &[state(4, true, false)], &full), None);
    // Opened by a baseline that `findings` no longer holds.
    assert_eq!(told(known(2, false), &[state(2, false, false)], &[alert(2, Clear)]), None);
    for (announced, states, alerts, problem) in [
        (
            known(1, true),
            vec![state(1, true, false)],
            vec![],
            "revision 1 was never told",
        ),
        (known(2, true), vec![], vec![alert(1, Open)], "revision 2 was never told"),
        (
            known(2, true),
            vec![],
            vec![alert(1, Open), alert(2, Open)],
            "revision 2 says open out of turn",
        ),
        (
            known(1, true),
            vec![],
            vec![alert(1, Open), alert(1, Open)],
            "revision 1 was told twice",
        ),
        (
            known(1, true),
            vec![],
            vec![alert(1, Open), alert(2, Clear)],
            "told with revision 2, announced with 1",
        ),
        (known(1, false), vec![], vec![alert(1, Open)], "revision 1 was told as open"),
    ] {
        assert_eq!(told(announced, &states, &alerts).as_deref(), Some(problem));
    }
    let other = State {
        whole: [9; 16],
        ..state(1, true, false)
    };
    let problem = told(known(1, true), &[other], &[alert(1, Open)]);
    assert_eq!(problem.as_deref(), Some("revision 1 reads otherwise in findings"));
}

#[test]
fn what_was_just_published_may_still_stand_in_the_outbox() {
    let queued = Alert {
        stage: Stage::Queued,
        ..alert(1, EventKind::Open)
    };
    assert_eq!(
        of_alerts(Some(&known(1, true)), &[], &[alert(1, EventKind::Open), queued]),
        None
    );
}
