//! Text dump, one node a line: `%7 = add %3 %6 : 64×256`.

use crate::graph::Graph;
use crate::program::Program;
use std::fmt;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, node) in self.nodes().iter().enumerate() {
            write!(f, "%{i} = {}", node.op.name())?;
            node.inputs.iter().try_for_each(|n| write!(f, " %{}", n.index()))?;
            let shape: Vec<String> = node.shape.iter().map(ToString::to_string).collect();
            writeln!(f, " : {}", if shape.is_empty() { "scalar".into() } else { shape.join("×") })?;
        }
        Ok(())
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.graph.fmt(f)?;
        self.outputs.iter().try_for_each(|(name, n)| writeln!(f, "return {name} = %{}", n.index()))?;
        self.updates
            .iter()
            .try_for_each(|(s, n)| writeln!(f, "update {} := %{}", self.graph.states()[*s].name, n.index()))
    }
}
