package vaulttest

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"time"
)

// kv2 is version 2 of the key-value engine.
func (s *Server) kv2(w http.ResponseWriter, r *http.Request, path string) {
	path, ok := strings.CutPrefix(path, "data/")
	if !ok {
		answer(w, http.StatusNotFound, map[string]any{"warnings": []string{
			"Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. If using the Vault CLI, use 'vault kv get' for this operation.",
		}})
		return
	}
	versions := s.secretsV2[path]
	n := len(versions)
	if r.Method == http.MethodGet {
		switch {
		case n == 0:
			fail(w, http.StatusNotFound)
		case versions[n-1].data == nil:
			answer(w, http.StatusNotFound, map[string]any{"data": map[string]any{"data": nil, "metadata": versions[n-1].metadata(n)}})
		default:
			reply(w, map[string]any{"data": map[string]any{"data": asFloats(versions[n-1].data), "metadata": versions[n-1].metadata(n)}})
		}
		return
	}
	if r.Method == http.MethodDelete {
		if n > 0 {
			versions[n-1].data, versions[n-1].deleted = nil, s.now
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var in struct {
		Data    map[string]any
		Options struct{ CAS *int }
	}
	if !decode(w, r, &in) {
		return
	}
	if r.Method == http.MethodPatch && (n == 0 || versions[n-1].data == nil) {
		fail(w, http.StatusNotFound)
		return
	}
	if in.Options.CAS != nil && *in.Options.CAS != n {
		fail(w, http.StatusBadRequest, "check-and-set parameter did not match the current version")
		return
	}
	if r.Method == http.MethodPatch {
		patched := maps.Clone(versions[n-1].data)
		maps.Copy(patched, in.Data)
		maps.DeleteFunc(patched, func(_ string, v any) bool { return v == nil })
		in.Data = patched
	}
	s.put(KV2, path, in.Data)
	reply(w, map[string]any{"data": s.secretsV2[path][n].metadata(n + 1)})
}

// asFloats turns numbers into floats, as the engine does.
func asFloats(data map[string]any) (out map[string]any) {
	text, _ := json.Marshal(data)  // it came as JSON
	_ = json.Unmarshal(text, &out) // likewise
	return out
}

func (v version) metadata(n int) map[string]any {
	deleted := ""
	if !v.deleted.IsZero() {
		deleted = v.deleted.Format(time.RFC3339Nano)
	}
	return map[string]any{
		"created_time": v.written.Format(time.RFC3339Nano), "custom_metadata": nil,
		"deletion_time": deleted, "destroyed": false, "version": n,
	}
}

// kv1 is version 1.
func (s *Server) kv1(w http.ResponseWriter, r *http.Request, path string) {
	switch r.Method {
	case http.MethodGet:
		if data := s.secretsV1[path]; data != nil {
			reply(w, map[string]any{"lease_duration": 2764800, "data": data})
			return
		}
		fail(w, http.StatusNotFound)
	case http.MethodDelete:
		delete(s.secretsV1, path)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPut, http.MethodPost:
		var data map[string]any
		if !decode(w, r, &data) {
			return
		}
		s.secretsV1[path] = data
		w.WriteHeader(http.StatusNoContent)
	default:
		fail(w, http.StatusMethodNotAllowed, "unsupported operation")
	}
}
