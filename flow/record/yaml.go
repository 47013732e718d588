package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// canHold reports whether a recording can hold the value: in our YAML, integers have 64 bits
// and nesting is bounded.
func canHold(v any, depth int) bool {
	switch v := v.(type) {
	case json.Number:
		if isInteger(v.String()) {
			_, err := v.Int64()
			return err == nil
		}
		_, err := v.Float64()
		return err == nil
	case []any:
		return depth > 0 && !slices.ContainsFunc(v, func(item any) bool { return !canHold(item, depth-1) })
	case map[string]any:
		for _, item := range v {
			if !canHold(item, depth-1) {
				return false
			}
		}
		return depth > 0
	}
	return true
}

// maxDepth bounds the nesting of a recorded body.
const maxDepth = 90

// jsonNode converts valid JSON to YAML, in its order. Volatile fields are dropped, and the
// values of secret fields are hidden.
func jsonNode(data []byte, volatile *differ, matched bool) *yaml.Node {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return nextNode(dec, volatile, matched)
}

func nextNode(dec *json.Decoder, volatile *differ, matched bool) *yaml.Node {
	token, _ := dec.Token()
	switch t := token.(type) {
	case json.Delim:
		if t == '[' {
			list := &yaml.Node{Kind: yaml.SequenceNode}
			for dec.More() {
				list.Content = append(list.Content, nextNode(dec, volatile, matched))
			}
			dec.Token()
			return flowIfEmpty(list)
		}
		return objectNode(dec, volatile, matched)
	case string:
		return text(t)
	case json.Number:
		return plainScalar(t.String())
	case bool:
		return plainScalar(fmt.Sprint(t))
	}
	return plainScalar("null")
}

func objectNode(dec *json.Decoder, volatile *differ, matched bool) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	places := map[string]int{} // of a repeated key the last value counts
	for dec.More() {
		token, _ := dec.Token()
		key, _ := token.(string)
		if volatile != nil {
			volatile.enter(key)
		}
		value := nextNode(dec, volatile, matched)
		drop := false
		if volatile != nil {
			drop = volatile.volatile()
			volatile.leave()
		}
		switch {
		case drop:
			continue
		case secretField(key) && value.Kind == yaml.ScalarNode && matched:
			value = anyNode()
		case secretField(key) && value.Kind == yaml.ScalarNode:
			value = text(Hidden)
		}
		if matched && strings.HasPrefix(key, "$") {
			key = "$" + key
		}
		if at, repeated := places[key]; repeated {
			n.Content[at] = value
			continue
		}
		put(n, key, value)
		places[key] = len(n.Content) - 1
	}
	dec.Token()
	return flowIfEmpty(n)
}

// flowIfEmpty formats an empty list or map as [] or {}.
func flowIfEmpty(n *yaml.Node) *yaml.Node {
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n
}

// parameters returns a query or a form.
func parameters(values any, volatile *differ) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	m, _ := values.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if volatile != nil {
			volatile.enter(name)
			drop := volatile.volatile()
			volatile.leave()
			if drop {
				continue
			}
		}
		key := name
		if strings.HasPrefix(key, "$") {
			key = "$" + key
		}
		if secretName(name) {
			put(n, key, anyNode())
			continue
		}
		switch v := m[name].(type) {
		case string:
			put(n, key, text(v))
		case []any:
			list := &yaml.Node{Kind: yaml.SequenceNode}
			for _, item := range v {
				list.Content = append(list.Content, text(fmt.Sprint(item)))
			}
			put(n, key, list)
		}
	}
	return flowIfEmpty(n)
}

// word matches a text that YAML cannot read as anything else.
var word = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./-]*$`)

// text returns a string node, quoted unless it is a plain word.
func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		n.Style = yaml.DoubleQuotedStyle
	}
	if !word.MatchString(s) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// plainScalar returns an unquoted scalar: a number, true, false, null, or a known word.
func plainScalar(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }

func anyNode() *yaml.Node {
	n := mapping("$any", plainScalar("true"))
	n.Style = yaml.FlowStyle
	return n
}

func mapping(key string, value *yaml.Node) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	put(n, key, value)
	return n
}

func put(n *yaml.Node, key string, value *yaml.Node) {
	k := text(key)
	if strings.HasPrefix(key, "$") && word.MatchString(key[1:]) {
		k.Style = 0
	}
	n.Content = append(n.Content, k, value)
}
