//! Prints the plans and the generated code of the protocols in a file: `expand FILE [plan|code]`.

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(file), what) = (args.next(), args.next()) else {
        eprintln!("usage: expand FILE [plan|code]");
        std::process::exit(2);
    };
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
    for found in anabranch_dsl::parse_file(&text) {
        let Some(protocol) = found.outcome.protocol else { continue };
        if what.as_deref() != Some("code") {
            for role in 0..protocol.roles.len() as u32 {
                println!("{}", anabranch_dsl::plan::lower::lower(&protocol, anabranch_dsl::ir::RoleId(role)));
            }
        }
        if what.as_deref() != Some("plan") {
            match anabranch_dsl::codegen::generate(&protocol, &Default::default()) {
                Ok(tokens) => println!("{tokens}"),
                Err(errors) => eprintln!("{errors:#?}"),
            }
        }
    }
}
