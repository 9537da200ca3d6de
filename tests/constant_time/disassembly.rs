//! What a program's functions are made of and whom they call, from `objdump` (x86-64, AT&T syntax).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::process::Command;

/// A program, taken apart.
pub(crate) struct Disassembly {
    /// By the address of their first instruction.
    functions: BTreeMap<u64, Function>,
    /// What the loader writes where: calls that go through memory find their target there.
    slots: HashMap<u64, Target>,
}

pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) instructions: Vec<Instruction>,
}

pub(crate) struct Instruction {
    /// With its prefixes, if any.
    mnemonic: String,
    operands: String,
    /// The address that an operand relative to the instruction pointer stands for.
    refers_to: Option<u64>,
}

#[derive(Clone)]
enum Target {
    Address(u64),
    /// Of another library.
    Import(String),
}

/// A function and all that it may call, directly or not.
pub(crate) struct Reached<'d> {
    pub(crate) functions: Vec<&'d Function>,
    /// Called in other libraries: not looked into.
    pub(crate) imports: BTreeSet<String>,
    /// Called, but never returning: not looked into.
    pub(crate) panics: BTreeSet<String>,
}

impl Disassembly {
    /// # Panics
    ///
    /// Where `objdump` doesn't do its part.
    pub(crate) fn of(program: &Path) -> Self {
        let code = objdump(&["--disassemble", "--demangle", "--no-show-raw-insn"], program);
        let relocations = objdump(&["--dynamic-reloc"], program);
        Self { functions: functions(&code), slots: relocations.lines().filter_map(slot).collect() }
    }

    /// The function of this name, and what it may call.
    ///
    /// # Panics
    ///
    /// Where there is no such function, or a call can't be followed.
    pub(crate) fn reached_from(&self, name: &str) -> Reached<'_> {
        let roots: Vec<u64> = self
            .functions
            .iter()
            .filter(|(_, function)| function.name == name)
            .map(|(&start, _)| start)
            .collect();
        assert_eq!(roots.len(), 1, "functions named {name} in the disassembly");
        let mut reached =
            Reached { functions: Vec::new(), imports: BTreeSet::new(), panics: BTreeSet::new() };
        let mut seen = BTreeSet::new();
        let mut waiting = roots;
        while let Some(start) = waiting.pop() {
            if !seen.insert(start) {
                continue;
            }
            let function = &self.functions[&start];
            if function.never_returns() {
                reached.panics.insert(function.name.clone());
                continue;
            }
            // A stub that jumps into another library.
            if let Some(import) = function.name.strip_suffix("@plt") {
                reached.imports.insert(import.to_owned());
                continue;
            }
            for target in self.targets(function) {
                match target {
                    Target::Address(address) => waiting.extend(self.function_at(address)),
                    Target::Import(name) => {
                        reached.imports.insert(name);
                    }
                }
            }
            reached.functions.push(function);
        }
        reached
    }

    /// Where a function may go: every jump and call, and every function whose address it takes.
    fn targets(&self, function: &Function) -> Vec<Target> {
        let mut targets = Vec::new();
        for (index, instruction) in function.instructions.iter().enumerate() {
            if let Some(address) = instruction.refers_to {
                let target = self.slots.get(&address).cloned().unwrap_or(Target::Address(address));
                match target {
                    Target::Address(address) if !self.functions.contains_key(&address) => {
                        assert!(!instruction.branches(), "{}: no function at {address:x}", function.name);
                    }
                    target => targets.push(target),
                }
            } else if let Some(indirect) = instruction.indirect() {
                assert!(
                    self.is_known(indirect, instruction, index, function),
                    "{}: can't follow {} {}",
                    function.name,
                    instruction.mnemonic,
                    instruction.operands
                );
            } else if instruction.branches() {
                let address = instruction.operands.split_whitespace().next().and_then(hex);
                let address = address.unwrap_or_else(|| panic!("a target in {}", instruction.operands));
                targets.push(Target::Address(address));
            }
        }
        targets
    }

    /// A call through a register, where addresses of functions were loaded into registers, which counted as targets; or
    /// a jump by a table, whose entries are all of one function. A call by a table of methods is neither.
    fn is_known(&self, operand: &str, instruction: &Instruction, index: usize, function: &Function) -> bool {
        let calls = instruction.mnemonic.ends_with("call");
        operand.starts_with('%')
            && if calls {
                function
                    .instructions
                    .iter()
                    .any(|one| one.loads_from().is_some_and(|slot| self.slots.contains_key(&slot)))
            } else {
                let before = function.instructions[..index].iter().rev();
                let mut writes = before.filter(|one| one.operands.ends_with(&format!(",{operand}")));
                writes.next().is_some_and(|last| last.mnemonic == "add")
            }
    }

    fn function_at(&self, address: u64) -> Option<u64> {
        self.functions.range(..=address).next_back().map(|(&start, _)| start)
    }
}

impl Function {
    /// True for every division, of integers or not: on many processors its duration depends on its operands.
    pub(crate) fn divides(&self) -> bool {
        self.instructions.iter().any(Instruction::divides)
    }

    fn never_returns(&self) -> bool {
        self.name.starts_with("core::panicking::")
            || self.name.starts_with("core::slice::") && self.name.ends_with("_fail")
    }
}

impl Instruction {
    /// The place in memory that it loads a register from.
    fn loads_from(&self) -> Option<u64> {
        self.refers_to.filter(|_| self.mnemonic == "mov")
    }

    /// Fills the space up to the next function.
    fn is_padding(&self) -> bool {
        self.mnemonic.split_whitespace().any(|word| word == "int3" || word.starts_with("nop"))
    }

    fn divides(&self) -> bool {
        self.mnemonic.split_whitespace().any(|word| {
            ["div", "idiv", "fdiv", "fidiv", "vdiv"].iter().any(|division| word.starts_with(division))
        })
    }

    fn branches(&self) -> bool {
        self.mnemonic.split_whitespace().any(|word| word.starts_with('j') || word.starts_with("call"))
    }

    /// What it calls or jumps through, unless that is a place in memory relative to it.
    fn indirect(&self) -> Option<&str> {
        self.operands.strip_prefix('*').filter(|_| self.branches())
    }
}

fn objdump(arguments: &[&str], program: &Path) -> String {
    let output = Command::new("objdump").args(arguments).arg(program).output().expect("objdump, of binutils");
    assert!(output.status.success(), "objdump: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Of lines like "0000000000020d80 <skewgate::otp::matching::scan>:", and "20d80:", a tab, "push   %rbp".
fn functions(code: &str) -> BTreeMap<u64, Function> {
    let mut functions: BTreeMap<u64, Function> = BTreeMap::new();
    for line in code.lines() {
        if let Some((address, name)) = line.strip_suffix(">:").and_then(|line| line.split_once(" <")) {
            let start = hex(address).expect("an address");
            functions.insert(start, Function { name: name.to_owned(), instructions: Vec::new() });
        } else if let Some((_, text)) = line.split_once(":\t")
            && let Some(mut function) = functions.last_entry()
        {
            let instruction = instruction(text);
            if !instruction.is_padding() {
                function.get_mut().instructions.push(instruction);
            }
        }
    }
    functions
}

/// Of "call   *0x4f307(%rip)        # 700e8 <_DYNAMIC+0x4b0>": prefixes and mnemonic, operands, the address.
fn instruction(text: &str) -> Instruction {
    const PREFIXES: [&str; 9] = ["addr32", "bnd", "cs", "data16", "lock", "notrack", "rep", "repnz", "repz"];
    let (text, comment) = text.split_once('#').map_or((text, None), |(text, comment)| (text, Some(comment)));
    let words: Vec<&str> = text.split_whitespace().collect();
    let prefixes = words.iter().take_while(|word| PREFIXES.contains(word)).count();
    let (mnemonic, operands) = words.split_at(words.len().min(prefixes + 1));
    Instruction {
        mnemonic: mnemonic.join(" "),
        operands: operands.join(" "),
        refers_to: comment.and_then(|comment| hex(comment.split_whitespace().next()?)),
    }
}

/// Of "0000000000070088 R_X86_64_RELATIVE  *ABS*+0x0000000000068fbb" and "… R_X86_64_GLOB_DAT  memcpy@GLIBC_2.14".
fn slot(line: &str) -> Option<(u64, Target)> {
    let mut words = line.split_whitespace();
    let (address, kind, value) = (hex(words.next()?)?, words.next()?, words.next()?);
    let target = match kind {
        "R_X86_64_RELATIVE" => Target::Address(hex(value.strip_prefix("*ABS*+0x")?)?),
        "R_X86_64_GLOB_DAT" | "R_X86_64_JUMP_SLOT" => Target::Import(value.split('@').next()?.to_owned()),
        _ => return None,
    };
    Some((address, target))
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}
