package schema

// EachLeaf returns a deep copy of a value in which f has replaced all that is neither a list
// nor an object.
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
