package diag

// A Codebook explains codes, such as those of a package's diagnostics: what each means and how
// to fix it, in a few sentences.
type Codebook []struct{ Code, Text string }

// Codes returns the codes, in the order of the book.
func (b Codebook) Codes() []string {
	codes := make([]string, len(b))
	for i, c := range b {
		codes[i] = c.Code
	}
	return codes
}

// Explain returns the explanation of a code; ok is false for an unknown code.
func (b Codebook) Explain(code string) (text string, ok bool) {
	for _, c := range b {
		if c.Code == code {
			return c.Text, true
		}
	}
	return "", false
}
