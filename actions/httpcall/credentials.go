package httpcall

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"facteur/vault"
)

// credentials is a connection of the app HTTP. The zero value is none.
type credentials struct {
	name   string
	base   *url.URL // where the credentials belong, nil: to the host that is called
	header string
	value  vault.Secret
	user   string // with basic, the value is the password
}

func connect(c vault.Connection) (*credentials, error) {
	k := &credentials{name: c.Name, header: "Authorization"}
	switch kind := c.Get("type"); kind {
	case "bearer":
		k.value = vault.NewSecret("Bearer " + c.Secret("token").Reveal())
	case "basic":
		k.user, k.value = c.Get("username"), c.Secret("password")
	case "header":
		k.header, k.value = c.Get("header"), c.Secret("value")
	default:
		return nil, fmt.Errorf("its type is %q, not bearer, basic or header", kind)
	}
	if text := c.Get("base_url"); text != "" {
		var err error
		if k.base, err = url.Parse(text); err != nil || k.base.Host == "" {
			return nil, fmt.Errorf("its base_url is not an address such as https://api.shop.test")
		}
	}
	return k, nil
}

// resolve makes the address to call. A path goes below the connection's base_url; any
// other address must be on its host.
func (k *credentials) resolve(u *url.URL) (*url.URL, error) {
	switch {
	case k == nil || k.base == nil:
		return u, nil
	case u.Host == "":
		full := *k.base
		full.Path = strings.TrimSuffix(full.Path, "/") + "/" + strings.TrimPrefix(u.Path, "/")
		full.RawPath, full.RawQuery, full.Fragment = "", u.RawQuery, ""
		return &full, nil
	case !strings.EqualFold(u.Host, k.base.Host) || u.Scheme != k.base.Scheme:
		return nil, fmt.Errorf("the connection %q belongs to %s://%s, so its credentials are not sent to %s://%s", k.name, k.base.Scheme, k.base.Host, u.Scheme, u.Host)
	}
	return u, nil
}

// add puts the credentials into a request.
func (k *credentials) add(req *http.Request) {
	switch {
	case k == nil:
	case k.user != "":
		req.SetBasicAuth(k.user, k.value.Reveal())
	default:
		req.Header.Set(k.header, k.value.Reveal())
	}
}

// remove takes them out again.
func (k *credentials) remove(req *http.Request) {
	if k != nil {
		// Exchange may write it in small letters.
		maps.DeleteFunc(req.Header, func(name string, _ []string) bool { return strings.EqualFold(name, k.header) })
	}
}
