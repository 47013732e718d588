package schema

// EachLeaf returns a copy of a value in which f has replaced what is neither a list nor an
// object. Lists and objects are new all through.
func EachLeaf(v any, f func(any) any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = EachLeaf(item, f)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, item := range v {
			out[name] = EachLeaf(item, f)
		}
		return out
	}
	return f(v)
}
