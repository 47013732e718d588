package facteur

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Each fuzz test tries some new inputs, and spends no time on making shorter what it found;
// `go test -fuzz` looks longer. They are counted, since a time that ends while the known ones
// are tried is a failure.
func TestFuzzBriefly(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	golang, err := exec.LookPath("go")
	if err != nil {
		t.Skip("fuzzing needs the go command")
	}
	for _, target := range []struct{ folder, name string }{
		{"flow", "FuzzParse"},
		{"flow/expr", "FuzzScan"},
		{"flow/machine", "FuzzWorld"},
		{"flow/record", "FuzzParse"},
	} {
		t.Run(target.folder, func(t *testing.T) {
			c := exec.CommandContext(t.Context(), golang, "test", "-run", "^$", "-fuzz", "^"+target.name+"$", "-fuzztime", "5000x", "-fuzzminimizetime", "1x", "./"+filepath.FromSlash(target.folder))
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
