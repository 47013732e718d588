package simulator

import (
	"net/http"
	"strings"
)

// What a business tells of itself.
var profileFields = [...]string{"about", "address", "description", "email", "messaging_product", "profile_picture_url", "vertical", "websites"}

// profile answers GET and POST /{phone_number_id}/whatsapp_business_profile.
func (s *Simulator) profile(g *graphCall, id string) *apiError {
	params, err := g.params()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.world.number(id)
	if n == nil || !g.token.sees(n.account) {
		return noObject(g.r.Method, id)
	}
	if !g.token.may(management) {
		return newAPIError(200, "")
	}
	if n.profile == nil {
		n.profile = fields{"messaging_product": "whatsapp", "vertical": "OTHER"}
	}
	switch g.r.Method {
	case http.MethodGet:
		out := map[string]any{"messaging_product": "whatsapp"}
		for name := range strings.SplitSeq(params.text("fields"), ",") {
			if v, ok := n.profile[name]; ok {
				out[name] = v
			}
		}
		return s.answer(g, map[string]any{"data": []any{out}})
	case http.MethodPost:
		if params.text("messaging_product") != "whatsapp" {
			return missingParameter("messaging_product")
		}
		for _, name := range profileFields {
			if v, ok := params[name]; ok {
				n.profile[name] = v
			}
		}
		return s.answerText(g, []byte(`{"success":true}`))
	}
	return noObject(g.r.Method, id)
}
