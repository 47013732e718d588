// Package powerloss simulates power losses: a daemon runs under strace, which records its
// writes and syncs, and a Disk restores from that record what the data folder may hold after a
// power loss at any moment. A killed process loses nothing that it wrote to the kernel; a power
// loss keeps only what was synced, and any part of the rest.
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

// WithStrace returns cmd under strace, which records its writes and syncs in files whose names
// begin with prefix.
func WithStrace(t testing.TB, cmd *exec.Cmd, prefix string) *exec.Cmd {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		e2e.SkipMissing(t, "there is no strace (Debian: strace)")
	}
	if said, err := exec.Command(strace, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %s", said) // nothing that could be installed would change that
	}
	// One file per thread, so that no call is split over two lines; bytes and paths in hex.
	args := []string{"-ff", "--seccomp-bpf", "-ttt", "-T", "-xx", "-y", "-s", "1000000", "-e", "signal=none",
		"-e", "trace=pwrite64,ftruncate,fsync,fdatasync", "-o", prefix}
	traced := exec.Command(strace, append(args, cmd.Args...)...)
	traced.Dir, traced.Env = cmd.Dir, cmd.Env
	return traced
}

// TracedPID returns the process that strace has started. Signal that one, not strace, so that
// strace records everything.
func TracedPID(t testing.TB, under int) (pid int) {
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

// An Op is what a system call does to a file.
type Op int

const (
	Write Op = iota
	Truncate
	Sync // the file's content at Began is on the disk at Ended
)

// A Syscall is one successful system call on a file.
type Syscall struct {
	Op           Op
	Began, Ended time.Time
	Path         string
	Offset       int64 // or the new size
	Data         []byte
}

var (
	syscallLine = regexp.MustCompile(`^(\d+)\.(\d{6}) (\w+)\(\d+<([^>]*)>(?:, (.*))?\) += (-?\d+)[^<]*<(\d+\.\d+)>$`)
	dataArgs    = regexp.MustCompile(`^"((?:\\x[0-9a-f]{2})*)", (\d+), (\d+)$`)
)

// ReadTrace reads what strace recorded, ordered by the start of the calls.
func ReadTrace(prefix string) ([]Syscall, error) {
	files, err := filepath.Glob(prefix + ".*")
	if err != nil {
		return nil, err
	}
	var calls []Syscall
	for _, name := range files {
		more, err := readFile(name)
		if err != nil {
			return nil, err
		}
		calls = append(calls, more...)
	}
	if len(calls) == 0 {
		return nil, errors.New("strace noted nothing")
	}
	slices.SortStableFunc(calls, func(a, b Syscall) int { return a.Began.Compare(b.Began) })
	return calls, nil
}

func readFile(name string) (calls []Syscall, err error) {
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
			continue // the thread exited, or was killed during the call
		}
		c, err := parseSyscall(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %.200s", filepath.Base(name), err, line)
		}
		if c != nil {
			calls = append(calls, *c)
		}
	}
	return calls, lines.Err()
}

// parseSyscall parses a line; nil for a call that failed.
func parseSyscall(line string) (*Syscall, error) {
	m := syscallLine.FindStringSubmatch(line)
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
	c := &Syscall{Began: time.Unix(seconds, micros*1000)}
	c.Ended = c.Began.Add(took)
	path, err := unescape(m[4])
	if err != nil {
		return nil, err
	}
	c.Path = string(path)
	switch m[3] {
	case "fsync", "fdatasync":
		c.Op = Sync
	case "ftruncate":
		c.Op = Truncate
		c.Offset, err = strconv.ParseInt(m[5], 10, 64)
	case "pwrite64":
		d := dataArgs.FindStringSubmatch(m[5])
		if d == nil {
			return nil, errors.New("bytes that cannot be read")
		}
		if c.Data, err = unescape(d[1]); err == nil && strconv.Itoa(len(c.Data)) != d[2] {
			err = errors.New("bytes are missing")
		}
		c.Offset, _ = strconv.ParseInt(d[3], 10, 64)
	default:
		err = errors.New("a call that was not asked for")
	}
	return c, err
}

func unescape(text string) ([]byte, error) {
	return hex.DecodeString(strings.ReplaceAll(text, `\x`, ""))
}
