package expr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"facteur/flow/schema"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

var (
	errTooLarge = fmt.Errorf("the value is over the size limit of %d KiB; split a longer list among several runs", maxSize>>10)
	errTooDeep  = fmt.Errorf("the value is nested more than %d deep", maxDepth)
	errBytes    = errors.New("a flow cannot hold bytes; use base64.encode(…) or string(…)")
	errNaN      = errors.New("the number is infinite or not a number")
)

// plain converts the result of an expression to a plain value (see schema.Coerce), within the
// limits of size and depth. Values that came in through Vars are not copied.
func plain(v any) (any, error) {
	budget := maxSize
	return convert(v, &budget, 0)
}

func convert(v any, budget *int, depth int) (any, error) {
	if *budget -= 8; *budget < 0 {
		return nil, errTooLarge
	}
	if depth > maxDepth {
		return nil, errTooDeep
	}
	switch x := v.(type) {
	case nil, bool, int64, time.Time, time.Duration:
		return v, nil
	case string:
		return v, spend(budget, len(x))
	case float64:
		return v, finite(x)
	case int:
		return int64(x), nil
	case types.Null:
		return nil, nil
	case types.String:
		return string(x), spend(budget, len(x))
	case types.Bool:
		return bool(x), nil
	case types.Int:
		return int64(x), nil
	case types.Uint:
		if x > math.MaxInt64 {
			return nil, fmt.Errorf("%du is too large for an integer", uint64(x))
		}
		return int64(x), nil
	case types.Double:
		return float64(x), finite(float64(x))
	case types.Timestamp:
		return x.Time, nil
	case types.Duration:
		return x.Duration, nil
	case types.Bytes, []byte:
		return nil, errBytes
	case *types.Optional:
		if !x.HasValue() {
			return nil, errors.New("an optional in the value is empty; use orValue(…), or ? before the element")
		}
		return convert(x.GetValue(), budget, depth)
	case []any, map[string]any:
		*budget += 8
		return v, measure(v, budget, depth)
	case traits.Mapper:
		return convertMap(x, budget, depth)
	case traits.Lister:
		return convertList(x, budget, depth)
	case ref.Val:
		return nil, fmt.Errorf("a value of type %s cannot be a result", x.Type().TypeName())
	}
	return nil, fmt.Errorf("a value of Go type %T cannot be a result", v)
}

func convertMap(m traits.Mapper, budget *int, depth int) (any, error) {
	if native, ok := m.Value().(map[string]any); ok {
		return convert(native, budget, depth)
	}
	out := make(map[string]any, size(m))
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return nil, fmt.Errorf("the keys of a map must be strings, but %v is not", key.Value())
		}
		if err := spend(budget, len(name)); err != nil {
			return nil, err
		}
		v, err := convert(m.Get(key), budget, depth+1)
		if err != nil {
			return nil, err
		}
		out[string(name)] = v
	}
	return out, nil
}

func convertList(l traits.Lister, budget *int, depth int) (any, error) {
	if native, ok := l.Value().([]any); ok {
		return convert(native, budget, depth)
	}
	out := make([]any, 0, min(size(l), maxSize))
	for it := l.Iterator(); it.HasNext() == types.True; {
		v, err := convert(it.Next(), budget, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// measure checks a plain value against the limits.
func measure(v any, budget *int, depth int) error {
	if *budget -= 8; *budget < 0 {
		return errTooLarge
	}
	if depth > maxDepth {
		return errTooDeep
	}
	switch v := v.(type) {
	case string:
		return spend(budget, len(v))
	case []any:
		for _, item := range v {
			if err := measure(item, budget, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, item := range v {
			*budget -= len(name)
			if err := measure(item, budget, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func spend(budget *int, n int) error {
	if *budget -= n; *budget < 0 {
		return errTooLarge
	}
	return nil
}

func finite(f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return errNaN
	}
	return nil
}

// text formats a scalar as part of a text.
func text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return formatFloat(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case time.Time:
		return v.Format(time.RFC3339Nano), nil
	case time.Duration:
		return schema.FormatDuration(v), nil
	case nil:
		return "", errors.New("null cannot be inserted into text; choose what to write, such as x == null ? \"\" : x")
	case []any:
		return "", errors.New("a list cannot be inserted into text; use .join(\", \") or json(…)")
	case map[string]any:
		return "", errors.New("a map cannot be inserted into text; use one of its fields or json(…)")
	}
	return "", errors.New("an empty optional cannot be inserted into text; use orValue(…)")
}

// formatFloat returns the shortest text that parses as f, with an exponent only for very large
// and very small numbers.
func formatFloat(f float64) string {
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// jsonText is json(v): compact, with sorted keys, and timestamps and durations as text.
func jsonText(v ref.Val) (string, error) {
	value, err := plain(v)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(schema.EachLeaf(value, jsonLeaf)); err != nil {
		return "", errors.New("json(…): " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// jsonLeaf returns a time or a duration as text, and any other value unchanged.
func jsonLeaf(v any) any {
	switch v := v.(type) {
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case time.Duration:
		return schema.FormatDuration(v)
	}
	return v
}
