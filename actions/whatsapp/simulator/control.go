package simulator

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// controlText is the documentation of the control API.
//
//go:embed control.txt
var controlText string

// controlHandler serves the control API, and the page.
func (s *Simulator) controlHandler() http.Handler {
	mux := http.NewServeMux()
	at := func(pattern string, answer func(r *http.Request) (any, error)) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" "+ControlPath+path, func(w http.ResponseWriter, r *http.Request) {
			v, err := answer(r)
			if err != nil {
				writeControl(w, statusOfError(err), map[string]string{"error": err.Error()})
				return
			}
			writeControl(w, http.StatusOK, v)
		})
	}
	at("GET state", func(*http.Request) (any, error) {
		return struct {
			Now time.Time `json:"now"`
			Counts
		}{s.Now().UTC(), s.Counts()}, nil
	})
	at("GET messages", s.askMessages)
	at("POST messages", withBody(func(_ *http.Request, in Inbound) (any, error) { return sentID(s.Send(in)) }))
	at("GET keys", func(r *http.Request) (any, error) {
		c := s.Counts()
		return struct {
			Keys     map[string]int `json:"keys"`
			Repeated int            `json:"repeated"`
		}{s.Keys(r.URL.Query().Get("prefix")), c.Repeated}, nil
	})
	at("POST tap", withBody(func(_ *http.Request, t Tap) (any, error) { return sentID(s.Tap(t)) }))
	at("POST react", withBody(func(_ *http.Request, in struct {
		MessageID string `json:"message_id"`
		Emoji     string `json:"emoji"`
	}) (any, error) {
		return sentID(s.React(in.MessageID, in.Emoji))
	}))
	at("POST read", withBody(func(_ *http.Request, in struct {
		Number string `json:"phone_number_id"`
		Person string `json:"person"`
	}) (any, error) {
		s.Read(in.Number, in.Person)
		return done{true}, nil
	}))
	at("POST clock", withBody(func(_ *http.Request, in struct {
		Advance Duration `json:"advance"`
	}) (any, error) {
		switch now := s.Now(); {
		case in.Advance < 0:
			return nil, errors.New("advance: the time can only move forward")
		case time.Duration(in.Advance) > mostAdvance || now.Year() > latestYear:
			return nil, errors.New("advance: too far; move it by a year at most")
		}
		s.Advance(time.Duration(in.Advance))
		return struct {
			Now time.Time `json:"now"`
		}{s.Now().UTC()}, nil
	}))
	at("POST reset", func(*http.Request) (any, error) { return done{true}, s.Reset() })
	at("POST idle", func(r *http.Request) (any, error) {
		ctx, stop := context.WithTimeout(r.Context(), time.Minute)
		defer stop()
		return done{true}, s.Idle(ctx)
	})
	at("GET faults", func(*http.Request) (any, error) { return s.Faults(), nil })
	at("POST faults", func(r *http.Request) (any, error) {
		var one json.RawMessage
		if err := body(r, &one); err != nil {
			return nil, err
		}
		if one[0] != '[' {
			one = append(append([]byte{'['}, one...), ']')
		}
		read, err := ReadScene(one)
		if err != nil {
			return nil, err
		}
		for _, f := range read.Faults {
			if err := s.AddFault(f); err != nil {
				return nil, err
			}
		}
		return s.Faults(), nil
	})
	at("DELETE faults", func(*http.Request) (any, error) { s.ClearFaults(); return done{true}, nil })
	at("POST webhook", withBody(func(r *http.Request, hook Webhook) (any, error) {
		ctx, stop := context.WithTimeout(r.Context(), 10*time.Second)
		defer stop()
		return done{true}, s.Subscribe(ctx, hook)
	}))
	at("POST people", command(s.PutPerson))
	at("POST tokens", command(s.PutToken))
	at("POST templates", command(s.ChangeTemplate))
	at("POST numbers", command(s.ChangeNumber))
	at("GET magic", func(*http.Request) (any, error) {
		type row struct {
			Phone string `json:"phone"`
			Does  string `json:"does"`
		}
		var rows []row
		for _, m := range Magics() {
			rows = append(rows, row{m.Phone, m.Does})
		}
		return rows, nil
	})
	mux.HandleFunc("GET "+ControlPath+"{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, controlText)
	})
	s.pageRoutes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeControl(w, http.StatusNotFound, map[string]string{"error": "there is nothing at this path"})
	})
	return http.NewCrossOriginProtection().Handler(mux)
}

// How far the clock can be moved.
const (
	mostAdvance = 366 * 24 * time.Hour
	latestYear  = 2200
)

// withBody decodes the body of a request for answer.
func withBody[In any](answer func(r *http.Request, in In) (any, error)) func(r *http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		var in In
		if err := body(r, &in); err != nil {
			return nil, err
		}
		return answer(r, in)
	}
}

// command is withBody for a function without a result.
func command[In any](change func(In) error) func(r *http.Request) (any, error) {
	return withBody(func(_ *http.Request, in In) (any, error) { return done{true}, change(in) })
}

type done struct {
	Done bool `json:"done"`
}

func sentID(id string, err error) (any, error) {
	return struct {
		ID string `json:"message_id"`
	}{id}, err
}

// A bodyError is about a body that cannot be decoded.
type bodyError struct{ error }

func statusOfError(err error) int {
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return http.StatusRequestEntityTooLarge
	case errors.As(err, &bodyError{}):
		return http.StatusBadRequest
	}
	return http.StatusUnprocessableEntity
}

// body reads the body of a request to the control API.
func body(r *http.Request, into any) error {
	text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return err
	}
	if err := decode(text, into); err != nil {
		return bodyError{err}
	}
	return nil
}

func writeControl(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(encode(v), '\n'))
}

func (s *Simulator) askMessages(r *http.Request) (any, error) {
	q := r.URL.Query()
	f := Filter{Number: q.Get("phone_number_id"), Person: q.Get("person"), Key: q.Get("key"), Type: q.Get("type"), Limit: 100}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, bodyError{errors.New("limit: it must be an integer of at least 1")}
		}
		f.Limit = n
	}
	if text := q.Get("inbound"); text != "" {
		inbound, err := strconv.ParseBool(text)
		if err != nil {
			return nil, bodyError{errors.New("inbound: it must be true or false")}
		}
		f.Inbound = &inbound
	}
	found := s.Messages(f)
	if found == nil {
		found = []Message{}
	}
	return found, nil
}
