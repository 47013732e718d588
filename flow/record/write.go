package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"gopkg.in/yaml.v3"
)

// Write writes the exchanges captured so far as a recording; the same exchanges give the same
// bytes. Requests that were never sent are left out. It writes nothing and returns an error if
// the text would contain a secret, or cannot be parsed again.
func (r *Recorder) Write(w io.Writer) error {
	data, err := r.encode()
	if err != nil {
		return fmt.Errorf("recording not written: %w", err)
	}
	_, err = w.Write(data)
	return err
}

// WriteFile writes the recording to a file, which it replaces only on success. It creates
// missing folders.
func (r *Recorder) WriteFile(name string) error {
	data, err := r.encode()
	if err != nil {
		return fmt.Errorf("recording %s not written: %w", name, err)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // no effect after the rename
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(fs.FileMode(0o644)), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func (r *Recorder) encode() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problem != nil {
		return nil, r.problem
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	var before []byte // the previous request, which `same` repeats
	for _, c := range r.exchanges {
		if c.response == nil {
			continue
		}
		n := &yaml.Node{Kind: yaml.MappingNode}
		if c.step != "" {
			put(n, "step", r.scrubNode(text(c.step), false))
		}
		// Remove secrets that were learned after the capture.
		request, response := r.scrubRequest(c.request), r.scrubNode(c.response, false)
		written, err := yaml.Marshal(request)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(written, before) {
			request = plainScalar("same")
		}
		before = written
		put(n, "request", request)
		put(n, "response", response)
		list.Content = append(list.Content, n)
	}
	if len(list.Content) == 0 {
		list.Style = yaml.FlowStyle
	}
	var b bytes.Buffer
	b.WriteString("# A recording of HTTP exchanges, for flow tests. Secrets were taken out.\n")
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(mapping("exchanges", list)), enc.Close()); err != nil {
		return nil, err
	}
	if err := r.checkSecrets(b.Bytes()); err != nil {
		return nil, err
	}
	if _, diags := Parse("recording", b.Bytes()); diags.HasErrors() {
		return nil, fmt.Errorf("it could not be read back: %w", diags.Err())
	}
	return b.Bytes(), nil
}

// checkSecrets searches the whole text for secrets once more.
func (r *Recorder) checkSecrets(data []byte) error {
	scrubbed := r.scrub(string(data))
	if scrubbed == string(data) {
		return nil
	}
	line := 1
	for i := 0; i < min(len(scrubbed), len(data)) && scrubbed[i] == data[i]; i++ {
		if data[i] == '\n' {
			line++
		}
	}
	return fmt.Errorf("its line %d would contain a secret", line)
}

// scrubRequest scrubs a captured request.
func (r *Recorder) scrubRequest(n *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i].Value
		matched := slices.Contains([]string{"query", "json", "form", "text"}, key)
		put(out, key, r.scrubNode(n.Content[i+1], matched))
	}
	return out
}

// scrubNode returns the node without secrets; with matched, a value that contained one becomes
// {$any: true}.
func (r *Recorder) scrubNode(n *yaml.Node, matched bool) *yaml.Node {
	switch n.Kind {
	case yaml.ScalarNode:
		cleaned := r.scrub(n.Value)
		switch {
		case cleaned == n.Value:
			return n
		case matched:
			return anyNode()
		}
		return text(cleaned)
	case yaml.SequenceNode:
		out := &yaml.Node{Kind: n.Kind, Style: n.Style}
		for _, item := range n.Content {
			out.Content = append(out.Content, r.scrubNode(item, matched))
		}
		return out
	}
	out := &yaml.Node{Kind: n.Kind, Style: n.Style}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i].Value
		put(out, r.scrub(key), r.scrubNode(n.Content[i+1], matched))
	}
	return out
}
