//! Reading values from text, guided by their schema.

use super::TextError;
use crate::data::{Data, Schema};
use crate::id::{Id, Req};
use crate::value::Value;

/// Reads a value that must take the whole text.
pub(super) fn parse(schema: &Schema, text: &str, roles: &[&str]) -> Result<Value, TextError> {
    let mut parser = Parser { text, at: 0, roles };
    let value = parser.value(schema)?;
    parser.space();
    if parser.at == text.len() { Ok(value) } else { parser.fail("the end") }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    roles: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn fail<T>(&self, expected: impl Into<String>) -> Result<T, TextError> {
        Err(TextError { at: self.at, expected: expected.into() })
    }
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }
    /// Takes a symbol after white space, if it is there.
    fn eat(&mut self, symbol: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(symbol);
        self.at += if found { symbol.len() } else { 0 };
        found
    }
    fn expect(&mut self, symbol: &str) -> Result<(), TextError> {
        if self.eat(symbol) { Ok(()) } else { self.fail(format!("`{symbol}`")) }
    }
    /// Takes letters, digits and underscores after white space.
    fn word(&mut self) -> &'a str {
        self.space();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }
    fn number<T: TryFrom<u128>>(&mut self, radix: u32, what: &str) -> Result<T, TextError> {
        self.space();
        let start = self.at;
        let digits = self.word().replace('_', "");
        let number = u128::from_str_radix(&digits, radix).ok().and_then(|n| T::try_from(n).ok());
        number.ok_or_else(|| TextError { at: start, expected: what.to_owned() })
    }

    fn value(&mut self, schema: &Schema) -> Result<Value, TextError> {
        self.space();
        let start = self.at;
        match schema {
            Schema::Unit => {
                self.expect("(")?;
                self.expect(")")?;
                Ok(Value::Unit)
            }
            Schema::Bool => match self.word() {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(TextError { at: start, expected: "`true` or `false`".into() }),
            },
            Schema::Int { signed, bits } => self.int(*signed, *bits, schema),
            Schema::Str => match String::from_utf8(self.quoted()?) {
                Ok(text) => Ok(Value::str(&text)),
                Err(_) => Err(TextError { at: start, expected: "text in UTF-8".into() }),
            },
            Schema::Bytes => self.bytes(),
            Schema::Addr(role) => self.address(*role),
            Schema::Id => {
                let what = "an id: `#route.node.serial`";
                self.expect("#").or_else(|_| self.fail(what))?;
                let route = self.number(16, what)?;
                self.expect(".")?;
                let node = self.number(10, what)?;
                self.expect(".")?;
                Ok(Value::Id(Id { route, node, serial: self.number(16, what)? }))
            }
            Schema::Req => {
                let session = self.number(16, "a request: `session.number`")?;
                self.expect(".")?;
                Ok(Value::Req(Req { session, number: self.number(10, "a number")? }))
            }
            Schema::Tuple(items) => Ok(Value::Tuple(self.items(items.iter(), "(", ")")?.into())),
            Schema::Option(item) => match self.word() {
                "None" => Ok(Value::Option(None)),
                "Some" => {
                    self.expect("(")?;
                    let value = self.value(item)?;
                    self.expect(")")?;
                    Ok(Value::Option(Some(Box::new(value))))
                }
                _ => Err(TextError { at: start, expected: "`None` or `Some(..)`".into() }),
            },
            Schema::List(item) => {
                self.expect("[")?;
                let mut items = Vec::new();
                while !self.eat("]") {
                    items.push(self.value(item)?);
                    if !self.eat(",") {
                        self.expect("]").or_else(|_| self.fail("`,` or `]`"))?;
                        break;
                    }
                }
                Ok(Value::List(items.into()))
            }
            Schema::Struct(name, fields) => {
                let word = self.word();
                if !word.is_empty() && word != name {
                    return Err(TextError { at: start, expected: format!("`{name}`") });
                }
                Ok(Value::Tuple(self.fields(fields)?.into()))
            }
            Schema::Enum(name, variants) => {
                let mut word = self.word();
                if word == name && self.eat("::") {
                    word = self.word();
                }
                let Some(index) = variants.iter().position(|(variant, _)| variant == word) else {
                    let names: Vec<&str> = variants.iter().map(|(variant, _)| variant.as_str()).collect();
                    return Err(TextError { at: start, expected: format!("one of {}", names.join(", ")) });
                };
                let fields = self.fields(&variants[index].1)?;
                Ok(Value::Variant(index as u32, word.into(), fields.into()))
            }
        }
    }

    fn int(&mut self, signed: bool, bits: u8, schema: &Schema) -> Result<Value, TextError> {
        let start = self.at;
        let negative = self.eat("-");
        let radix = if self.eat("0x") { 16 } else { 10 };
        let error = TextError { at: start, expected: format!("an integer of type {schema}") };
        let Ok(size) = self.number::<u128>(radix, "") else { return Err(error) };
        let limit = match (signed, negative) {
            (true, true) => 1u128 << (bits - 1),
            (true, false) => (1u128 << (bits - 1)) - 1,
            (false, true) => 0,
            (false, false) => u128::MAX >> (128 - u32::from(bits)),
        };
        if size > limit {
            return Err(error);
        }
        Ok(match i128::try_from(size) {
            Ok(n) => Value::Int(if negative { -n } else { n }),
            Err(_) if negative => Value::Int(i128::MIN),
            Err(_) => size.to_value(),
        })
    }

    fn address(&mut self, role: u16) -> Result<Value, TextError> {
        let start = self.at;
        let name = self.roles.get(usize::from(role)).copied();
        if !self.eat("@") && !self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            let word = self.word();
            let fits = name.is_none_or(|name| name == word) && !word.is_empty();
            if !fits || !self.eat(".") {
                let name = name.unwrap_or("role");
                return Err(TextError { at: start, expected: format!("an address: `{name}.0`") });
            }
        }
        Ok(Value::Addr(role, self.number(10, "an instance")?))
    }

    fn bytes(&mut self) -> Result<Value, TextError> {
        let start = self.at;
        if self.eat("0x") {
            let digits = self.word();
            let nibbles: Option<Vec<u8>> = digits.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
            return match nibbles {
                Some(nibbles) if nibbles.len() % 2 == 0 => {
                    let (pairs, _) = nibbles.as_chunks::<2>();
                    Ok(Value::Bytes(pairs.iter().map(|[hi, lo]| hi << 4 | lo).collect()))
                }
                _ => Err(TextError { at: start, expected: "pairs of hexadecimal digits".into() }),
            };
        }
        if !self.eat("b\"") && !self.eat("\"") {
            return self.fail("`b\"..\"` or `0x..`");
        }
        self.at -= 1;
        Ok(Value::Bytes(self.quoted()?.into()))
    }

    /// A string literal with Rust's escapes; `\x` may give any byte.
    fn quoted(&mut self) -> Result<Vec<u8>, TextError> {
        self.expect("\"").or_else(|_| self.fail("`\"`"))?;
        let mut out = Vec::new();
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else { return self.fail("`\"`") };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' => {
                    let escape = self.rest().chars().next();
                    self.at += escape.map_or(0, char::len_utf8);
                    match escape {
                        Some('n') => out.push(b'\n'),
                        Some('r') => out.push(b'\r'),
                        Some('t') => out.push(b'\t'),
                        Some('0') => out.push(0),
                        Some(c @ ('\\' | '"' | '\'')) => out.push(c as u8),
                        Some('x') => {
                            let digits = self.rest().get(..2).unwrap_or("");
                            let byte = u8::from_str_radix(digits, 16);
                            out.push(byte.or_else(|_| self.fail("two hexadecimal digits"))?);
                            self.at += 2;
                        }
                        Some('u') => {
                            self.expect("{")?;
                            let code = self.number::<u32>(16, "a hexadecimal number")?;
                            let c = char::from_u32(code);
                            let c = c.map_or_else(|| self.fail("the number of a character"), Ok)?;
                            self.expect("}")?;
                            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                        }
                        _ => return self.fail("an escape: n, r, t, 0, x, u, \\, \" or '"),
                    }
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    fn items<'s>(
        &mut self,
        schemas: impl Iterator<Item = &'s Schema>,
        open: &str,
        close: &str,
    ) -> Result<Vec<Value>, TextError> {
        self.expect(open)?;
        let mut items = Vec::new();
        for schema in schemas {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(self.value(schema)?);
        }
        self.eat(",");
        self.expect(close)?;
        Ok(items)
    }

    /// `{ name: value, .. }` in any order, or `(value, ..)`; nothing if there are no fields.
    fn fields(&mut self, fields: &[(String, Schema)]) -> Result<Vec<Value>, TextError> {
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        if !self.eat("{") {
            return self.items(fields.iter().map(|(_, schema)| schema), "(", ")");
        }
        let mut items: Vec<Option<Value>> = vec![None; fields.len()];
        while !self.eat("}") {
            self.space();
            let start = self.at;
            let word = self.word();
            let free = |i: &usize| items[*i].is_none();
            let Some(index) = fields.iter().position(|(name, _)| name == word).filter(free) else {
                let names: Vec<&str> = fields
                    .iter()
                    .zip(&items)
                    .filter(|(_, v)| v.is_none())
                    .map(|(f, _)| f.0.as_str())
                    .collect();
                return Err(TextError { at: start, expected: format!("a field ({})", names.join(", ")) });
            };
            self.expect(":")?;
            items[index] = Some(self.value(&fields[index].1)?);
            if !self.eat(",") {
                self.expect("}").or_else(|_| self.fail("`,` or `}`"))?;
                break;
            }
        }
        match items.iter().position(Option::is_none) {
            Some(missing) => self.fail(format!("the field `{}`", fields[missing].0)),
            None => Ok(items.into_iter().flatten().collect()),
        }
    }
}
