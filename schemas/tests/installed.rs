//! The codec of the process; a test binary of its own, since it is chosen once.

use domain::input::{Control, Input};
use schemas::codec::{decode_input, encode_input};
use schemas::{Codec, DecodeError, OtherIdsInUse};

#[test]
fn values_carry_the_ids_that_were_installed() {
    let input = Input::Control(Control::Completeness(Vec::new()));
    let theirs = || Codec::with_ids(|version| version.id + 70_000);
    assert_eq!(theirs().install(), Ok(()));
    let bytes = encode_input(&input);
    assert_eq!(bytes[..5], [0, 0, 1, 0x11, 0x74]);
    assert_eq!(decode_input(&bytes), Ok(input.clone()));
    let embedded = Codec::embedded().encode_input(&input);
    assert_eq!(decode_input(&embedded), Err(DecodeError::UnknownSchema(4)));

    assert_eq!(theirs().install(), Ok(()), "the same again is harmless");
    assert_eq!(Codec::embedded().clone().install(), Err(OtherIdsInUse));
    assert_eq!(encode_input(&input), bytes);
}
