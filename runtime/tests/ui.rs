//! Mistakes as rustc reports them: the message, and that it stands where the mistake is. Each case is named
//! for its mistake. `TRYBUILD=overwrite` records what is reported now.

#[test]
fn mistakes() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
