package expr_test

import (
	"archive/zip"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"facteur/flow/expr"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite zones.txt from Go's time zones")

func TestTimeZone(t *testing.T) {
	for name, want := range map[string]string{
		"Paris":                "Europe/Paris",
		"Europe/Pari":          "Europe/Paris",
		"europe/paris":         "Europe/Paris",
		"France/Paris":         "Europe/Paris",
		"Europe/Brusells":      "Europe/Brussels",
		"New York":             "America/New_York",
		"America/Sao Paulo":    "America/Sao_Paulo",
		"America/Buenos-Aires": "America/Buenos_Aires",
		"utc":                  "UTC",
		"singapore":            "Singapore",
		"Europe/Lyon":          "", // no other city is meant
		"Munich":               "",
		"PST":                  "",
		"UTC+1":                "",
		"Europe/":              "",
		"Local":                "",
	} {
		zone, meant := expr.TimeZone(name)
		assert.Nil(t, zone, name)
		assert.Equal(t, want, meant, name)
	}
	for _, name := range []string{"Europe/Paris", "UTC", ""} {
		zone, meant := expr.TimeZone(name)
		assert.NotNil(t, zone, name)
		assert.Empty(t, meant, name)
	}
}

// zones.txt lists the zones that Go knows: go test ./flow/expr -run ZoneNames -update.
func TestZoneNames(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	archive, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Skip("this Go has no zones beside it:", err)
	}
	defer archive.Close()
	var names []string
	for _, f := range archive.File {
		if !strings.HasSuffix(f.Name, "/") {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	want := strings.Join(names, "\n") + "\n"
	if *update {
		require.NoError(t, os.WriteFile("zones.txt", []byte(want), 0o666))
	}
	got, err := os.ReadFile("zones.txt")
	require.NoError(t, err)
	for _, name := range strings.Fields(string(got)) {
		_, err := time.LoadLocation(name)
		require.NoError(t, err)
	}
	assert.Equal(t, want, string(got))
}
