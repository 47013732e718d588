package plan

import "strings"

// unusedInputs warns about inputs that no expression reads.
func (c *flowCompiler) unusedInputs() {
	for _, in := range c.flow.Inputs {
		name := in.Name.Value
		if name != "" && !c.mentions(name) {
			c.diags.Warnf("unused-input", in.Name.Whole, "remove it, or use it as ${inputs."+name+"}", "no expression reads the input %q", name)
		}
	}
}

// mentions tells whether an expression may read an input: by its name, or in a way
// that the text does not show.
func (c *flowCompiler) mentions(name string) bool {
	for _, text := range c.texts {
		for {
			_, rest, ok := strings.Cut(text, "inputs")
			if !ok {
				break
			}
			if text = rest; reads(rest, name) {
				return true
			}
		}
	}
	return false
}

// reads tells whether what follows the word inputs may read an input.
func reads(rest, name string) bool {
	rest = strings.TrimLeft(rest, " \t\n")
	if rest == "" || rest[0] != '.' && rest[0] != '[' {
		return true // as a whole
	}
	rest = strings.TrimLeft(rest[1:], " \t\n?\"'`")
	n := 0
	for n < len(rest) && isWord(rest[n]) {
		n++
	}
	return n == 0 || rest[:n] == name
}

func isWord(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}
