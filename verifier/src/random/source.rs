//! A program as parts of text: what shrinking can take away.

use std::fmt::{self, Write};

/// A program.
#[derive(Clone, Default, Debug)]
pub struct Source {
    /// What follows the name `node` in its declaration, and the name `peer` in its.
    pub roles: [String; 2],
    /// Outside of roles: messages, requests, parameters.
    pub outside: Vec<String>,
    /// In role `node`: declarations, without semicolon.
    pub declarations: Vec<String>,
    /// In role `node`: rules and blocks.
    pub rules: Vec<Block>,
}

/// A rule, or an `on` block.
#[derive(Clone, Debug)]
pub struct Block {
    /// Literals of the prefix; empty for a rule by itself.
    pub prefix: Vec<String>,
    /// The rules; exactly one if there is no prefix.
    pub rules: Vec<Rule>,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Head and operator, with `event` or `view` before it if it declares its head.
    pub head: String,
    /// Literals of the body (after the prefix).
    pub body: Vec<String>,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [node, peer] = &self.roles;
        write!(f, "protocol random;\nrole node{node};\nrole peer{peer};\n")?;
        for line in &self.outside {
            writeln!(f, "{line};")?;
        }
        f.write_str("at node {\n")?;
        for line in &self.declarations {
            writeln!(f, "    {line};")?;
        }
        for block in &self.rules {
            if block.prefix.is_empty() {
                for rule in &block.rules {
                    writeln!(f, "    {rule};")?;
                }
            } else {
                writeln!(f, "    on {} {{", block.prefix.join(", "))?;
                for rule in &block.rules {
                    writeln!(f, "        {rule};")?;
                }
                f.write_str("    }\n")?;
            }
        }
        f.write_str("}\n")
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head)?;
        if !self.body.is_empty() {
            f.write_char(' ')?;
            f.write_str(&self.body.join(", "))?;
        }
        Ok(())
    }
}

impl Source {
    /// All programs with one part less, those that take away most first.
    pub fn smaller(&self) -> Vec<Source> {
        let mut all = Vec::new();
        let with = |change: &dyn Fn(&mut Source)| {
            let mut copy = self.clone();
            change(&mut copy);
            copy
        };
        for i in 0..self.rules.len() {
            all.push(with(&|s| drop(s.rules.remove(i))));
        }
        for i in 0..self.declarations.len() {
            all.push(with(&|s| drop(s.declarations.remove(i))));
        }
        for i in 0..self.outside.len() {
            all.push(with(&|s| drop(s.outside.remove(i))));
        }
        for (i, block) in self.rules.iter().enumerate() {
            if !block.prefix.is_empty() {
                if block.rules.len() > 1 {
                    for k in 0..block.rules.len() {
                        all.push(with(&|s| drop(s.rules[i].rules.remove(k))));
                    }
                }
                // Rules of their own instead of a block.
                all.push(with(&|s| {
                    let block = s.rules.remove(i);
                    for rule in block.rules {
                        let body = block.prefix.iter().cloned().chain(rule.body).collect();
                        s.rules.push(Block { prefix: vec![], rules: vec![Rule { head: rule.head, body }] });
                    }
                }));
                if block.prefix.len() > 1 {
                    for k in 0..block.prefix.len() {
                        all.push(with(&|s| drop(s.rules[i].prefix.remove(k))));
                    }
                }
            }
            for (j, rule) in block.rules.iter().enumerate() {
                if rule.body.len() + block.prefix.len() > 1 {
                    for k in 0..rule.body.len() {
                        all.push(with(&|s| drop(s.rules[i].rules[j].body.remove(k))));
                    }
                }
            }
        }
        all
    }
}
