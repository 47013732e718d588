package simulator

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"facteur/flow/schema"
)

// attachments is where files are fetched from, on the host of the simulator.
const attachments = "/whatsapp_business/attachments/"

const (
	uploadLives  = 30 * 24 * time.Hour
	inboundLives = 7 * 24 * time.Hour
	linkLives    = 5 * time.Minute
	mostUploads  = 128 << 20 // bytes of all files together; the oldest go first
	mostFiles    = 10_000
)

// An upload is a file that was sent here, or that a person sent.
type upload struct {
	id, mime string
	sha256   string // of an API answer: in hexadecimal
	number   string
	content  []byte
	shown    bool // a browser can show it
	until    time.Time
}

// uploads are the files, in the order in which they came.
type uploads struct {
	all  []*upload
	size int
}

func (u *uploads) add(f *upload) {
	u.all = append(u.all, f)
	u.size += len(f.content)
	for (u.size > mostUploads || len(u.all) > mostFiles) && len(u.all) > 1 {
		u.remove(u.all[0].id)
	}
}

func (u *uploads) remove(id string) {
	u.all = slices.DeleteFunc(u.all, func(f *upload) bool {
		if f.id == id {
			u.size -= len(f.content)
		}
		return f.id == id
	})
}

// find returns a file that has not expired, nil for none.
func (u *uploads) find(id string, now time.Time) *upload {
	i := slices.IndexFunc(u.all, func(f *upload) bool { return f.id == id && !now.After(f.until) })
	if i < 0 {
		return nil
	}
	return u.all[i]
}

// mediaTypes are the kinds of files, with the most bytes of each.
var mediaTypes = [...]struct {
	mime string
	most int
}{
	{"audio/aac", 16 << 20}, {"audio/amr", 16 << 20}, {"audio/mpeg", 16 << 20}, {"audio/mp4", 16 << 20}, {"audio/ogg", 16 << 20}, {"audio/opus", 16 << 20},
	{"image/jpeg", 5 << 20}, {"image/png", 5 << 20}, {"image/webp", 500 << 10}, {"video/mp4", 16 << 20}, {"video/3gpp", 16 << 20},
	{"text/plain", 100 << 20}, {"application/pdf", 100 << 20}, {"application/msword", 100 << 20}, {"application/vnd.ms-excel", 100 << 20}, {"application/vnd.ms-powerpoint", 100 << 20},
	{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", 100 << 20}, {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", 100 << 20},
	{"application/vnd.openxmlformats-officedocument.presentationml.presentation", 100 << 20},
}

// upload answers POST /{phone_number_id}/media.
func (s *Simulator) upload(g *graphCall, id string) *apiError {
	if g.r.Method != http.MethodPost {
		return noObject(g.r.Method, id)
	}
	s.mu.Lock()
	n := s.world.number(id)
	s.mu.Unlock()
	if n == nil || !g.token.sees(n.account) {
		return noObject("post", id)
	}
	if !g.token.may(messaging) {
		return newAPIError(200, "")
	}
	if done, err := s.failRequest(g, "media", id); done {
		return err
	}
	file, err := g.file()
	if err != nil {
		return err
	}
	s.mu.Lock()
	file.id, file.number, file.until = s.objectID(), id, g.now.Add(uploadLives)
	s.world.media.add(file)
	s.mu.Unlock()
	return s.answer(g, map[string]any{"id": file.id})
}

// file reads the file of an upload.
func (g *graphCall) file() (*upload, *apiError) {
	const most = 101 << 20
	g.r.Body = http.MaxBytesReader(g.w, g.r.Body, most)
	if err := g.r.ParseMultipartForm(most); errors.Is(err, http.ErrNotMultipart) {
		return nil, missingParameter("messaging_product")
	} else if err != nil {
		return nil, invalidParameter("(#100) The request body could not be read.")
	}
	defer func() { _ = g.r.MultipartForm.RemoveAll() }()
	if g.r.PostFormValue("messaging_product") != "whatsapp" {
		return nil, missingParameter("messaging_product")
	}
	part, header, err := g.r.FormFile("file")
	if err != nil {
		return nil, missingParameter("file")
	}
	content, err := io.ReadAll(part)
	if err != nil {
		return nil, invalidParameter("(#100) The request body could not be read.")
	}
	f := &upload{shown: true, content: content, mime: header.Header.Get("Content-Type")}
	if maxBytes(f.mime) == 0 {
		f.mime = cmp.Or(g.r.PostFormValue("type"), f.mime)
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(f.content)
	f.sha256 = hex.EncodeToString(sum[:])
	return f, nil
}

func maxBytes(mime string) int {
	base, _, _ := strings.Cut(strings.ToLower(mime), ";")
	for _, t := range mediaTypes {
		if t.mime == strings.TrimSpace(base) {
			return t.most
		}
	}
	return 0
}

func (f *upload) check() *apiError {
	most := maxBytes(f.mime)
	switch {
	case most == 0:
		var all []string
		for _, t := range mediaTypes {
			all = append(all, t.mime)
		}
		return invalidParameter(fmt.Sprintf("(#100) Param file must be a file with one of the following types: %s. Received file of type '%s'.", strings.Join(all, ", "), f.mime))
	case len(f.content) == 0:
		return invalidParameter("(#100) Param file must be a file with content.")
	case len(f.content) > most:
		return newAPIError(131053, fmt.Sprintf("File size exceeds the limit: %d bytes, at most %d are allowed for %s.", len(f.content), most, f.mime))
	}
	return nil
}

// checkMedia checks that the uploads that a message names exist. An open world takes any. The
// simulator is locked.
func (s *Simulator) checkMedia(m *sendRequest) *apiError {
	if s.world.open {
		return nil
	}
	return s.missingUpload(schema.Path{m.kind}, m.body[m.kind], m.now)
}

// missingUpload returns an error about the first file whose upload does not exist.
func (s *Simulator) missingUpload(path schema.Path, v any, now time.Time) *apiError {
	switch v := v.(type) {
	case map[string]any:
		id, ok := v["id"].(string)
		if last, _ := path[len(path)-1].(string); ok && slices.Contains(files, last) && s.world.media.find(id, now) == nil {
			return invalidParameter("(#100) Param " + param(append(path, "id")) + " is not a valid whatsapp business account media attachment ID")
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if name == "data" || name == "flow_action_data" {
				continue // what a Flow is given names files as its author likes
			}
			if err := s.missingUpload(append(path, name), v[name], now); err != nil {
				return err
			}
		}
	case []any:
		for i, item := range v {
			if err := s.missingUpload(append(path, i), item, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// files are the keys under which messages name uploads.
var files = []string{"image", "video", "gif", "audio", "document", "sticker"}

// mediaObject answers GET and DELETE /{media_id}.
func (s *Simulator) mediaObject(g *graphCall, f *upload) *apiError {
	if number := g.r.URL.Query().Get("phone_number_id"); number != "" && f.number != "" && number != f.number {
		return noObject(g.r.Method, f.id)
	}
	if g.r.Method == http.MethodDelete {
		s.mu.Lock()
		s.world.media.remove(f.id)
		s.mu.Unlock()
		return s.answer(g, map[string]any{"success": true})
	}
	scheme := "http"
	if g.r.TLS != nil {
		scheme = "https"
	}
	ends := strconv.FormatInt(g.now.Add(linkLives).Unix(), 10)
	link := fmt.Sprintf("%s://%s%s?mid=%s&ext=%s&hash=%s", scheme, g.r.Host, attachments, f.id, ends, linkHash(f.id, ends))
	return s.answer(g, struct {
		URL     string `json:"url"`
		Mime    string `json:"mime_type"`
		SHA256  string `json:"sha256"`
		Size    int    `json:"file_size"`
		ID      string `json:"id"`
		Product string `json:"messaging_product"`
	}{link, f.mime, f.sha256, len(f.content), f.id, "whatsapp"})
}

func linkHash(id, ends string) string {
	sum := sha256.Sum256([]byte(id + ends))
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}

// download answers the address of a file.
func (s *Simulator) download(g *graphCall) *apiError {
	g.now = s.Now()
	if err := s.authorize(g); err != nil {
		return err
	}
	q := g.r.URL.Query()
	id, ends := q.Get("mid"), q.Get("ext")
	until, err := strconv.ParseInt(ends, 10, 64)
	s.mu.Lock()
	f := s.world.media.find(id, g.now)
	s.mu.Unlock()
	if f == nil || err != nil || g.now.Unix() > until || q.Get("hash") != linkHash(id, ends) {
		g.w.WriteHeader(http.StatusNotFound)
		return nil
	}
	h := g.w.Header()
	h.Set("Content-Type", f.mime)
	h.Set("Content-Length", strconv.Itoa(len(f.content)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Disposition", "attachment")
	_, _ = g.w.Write(f.content)
	return nil
}
