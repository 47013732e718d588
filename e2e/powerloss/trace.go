// Package powerloss finds what a data folder may hold after the power went: a daemon works
// under strace, which notes what it writes and when a disk has it for sure, and a Disk is
// made of that for any moment. Whoever is killed leaves all that was written to the kernel;
// who loses power, what was synced, and any part of the rest.
package powerloss

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"facteur/e2e"
)

// Under returns a command that does what cmd does, and has strace note its writes in files
// that begin with prefix.
func Under(t testing.TB, cmd *exec.Cmd, prefix string) *exec.Cmd {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		e2e.Missing(t, "there is no strace (Debian: strace)")
	}
	if said, err := exec.Command(strace, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %s", said) // nothing that could be installed would change that
	}
	// A file for each thread, so that no call is told in two pieces; bytes and paths in hex.
	args := []string{"-ff", "--seccomp-bpf", "-ttt", "-T", "-xx", "-y", "-s", "1000000", "-e", "signal=none",
		"-e", "trace=pwrite64,ftruncate,fsync,fdatasync", "-o", prefix}
	traced := exec.Command(strace, append(args, cmd.Args...)...)
	traced.Dir, traced.Env = cmd.Dir, cmd.Env
	return traced
}

// Traced is the process that the one of Under has started. Whoever ends that one, and not
// strace, finds all that it did noted.
func Traced(t testing.TB, under int) (pid int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", under))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

// A Kind is what a call of the system does to a file.
type Kind int

const (
	Write Kind = iota
	Truncate
	Sync // the file, as it is at Began, is on the disk at Ended
)

// A Call is one of them.
type Call struct {
	Kind         Kind
	Began, Ended time.Time
	Path         string
	Offset       int64 // or the new size
	Data         []byte
}

var (
	callLine = regexp.MustCompile(`^(\d+)\.(\d{6}) (\w+)\(\d+<([^>]*)>(?:, (.*))?\) += (-?\d+)[^<]*<(\d+\.\d+)>$`)
	dataArgs = regexp.MustCompile(`^"((?:\\x[0-9a-f]{2})*)", (\d+), (\d+)$`)
)

// Read reads what strace noted, in the order in which the calls began.
func Read(prefix string) ([]Call, error) {
	files, err := filepath.Glob(prefix + ".*")
	if err != nil {
		return nil, err
	}
	var calls []Call
	for _, name := range files {
		more, err := readThread(name)
		if err != nil {
			return nil, err
		}
		calls = append(calls, more...)
	}
	if len(calls) == 0 {
		return nil, errors.New("strace noted nothing")
	}
	slices.SortStableFunc(calls, func(a, b Call) int { return a.Began.Compare(b.Began) })
	return calls, nil
}

func readThread(name string) (calls []Call, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.Contains(line, " +++ ") || strings.HasSuffix(line, " = ?") || strings.HasSuffix(line, " <detached ...>") {
			continue // the thread has ended, or the process was killed meanwhile
		}
		c, err := readCall(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %.200s", filepath.Base(name), err, line)
		}
		if c != nil {
			calls = append(calls, *c)
		}
	}
	return calls, lines.Err()
}

// readCall reads a line; nil is a call that failed.
func readCall(line string) (*Call, error) {
	m := callLine.FindStringSubmatch(line)
	if m == nil {
		return nil, errors.New("no call that was asked for")
	}
	if strings.HasPrefix(m[6], "-") {
		return nil, nil
	}
	seconds, _ := strconv.ParseInt(m[1], 10, 64)
	micros, _ := strconv.ParseInt(m[2], 10, 64)
	took, err := time.ParseDuration(m[7] + "s")
	if err != nil {
		return nil, err
	}
	c := &Call{Began: time.Unix(seconds, micros*1000)}
	c.Ended = c.Began.Add(took)
	path, err := bytesOf(m[4])
	if err != nil {
		return nil, err
	}
	c.Path = string(path)
	switch m[3] {
	case "fsync", "fdatasync":
		c.Kind = Sync
	case "ftruncate":
		c.Kind = Truncate
		c.Offset, err = strconv.ParseInt(m[5], 10, 64)
	case "pwrite64":
		d := dataArgs.FindStringSubmatch(m[5])
		if d == nil {
			return nil, errors.New("bytes that cannot be read")
		}
		if c.Data, err = bytesOf(d[1]); err == nil && strconv.Itoa(len(c.Data)) != d[2] {
			err = errors.New("bytes are missing")
		}
		c.Offset, _ = strconv.ParseInt(d[3], 10, 64)
	default:
		err = errors.New("a call that was not asked for")
	}
	return c, err
}

func bytesOf(text string) ([]byte, error) {
	return hex.DecodeString(strings.ReplaceAll(text, `\x`, ""))
}
