package vault

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/hashicorp/vault/api"
)

// newClient returns a client that depends on the configuration alone: by
// default the library would also read VAULT_TOKEN, VAULT_SKIP_VERIFY and others.
func newClient(cfg Hashicorp) (*api.Client, error) {
	u, err := url.Parse(cfg.Address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return nil, &BackendError{
			Backend: hashicorpName, Op: "use", Reason: Misconfigured, why: "the address is not the address of a server",
			Hint: "write vault.hashicorp.address as https://vault.internal:8200",
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CACert != "" {
		pem, err := os.ReadFile(cfg.CACert)
		pool := x509.NewCertPool()
		if err == nil && !pool.AppendCertsFromPEM(pem) {
			err = errors.New("it contains no PEM certificate")
		}
		if err != nil {
			return nil, &BackendError{
				Backend: hashicorpName, Op: "read", Where: cfg.CACert, Reason: Misconfigured, Err: err,
				why: reasonOf(err), Hint: "set vault.hashicorp.ca_cert to the PEM file of the server's certificate authority",
			}
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	c, err := api.NewClient(&api.Config{
		Address: cfg.Address,
		HttpClient: &http.Client{
			Transport:     limitedTransport{transport},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Timeout:      cfg.Timeout,
		MaxRetries:   2,
		MinRetryWait: 50 * time.Millisecond,
		MaxRetryWait: 200 * time.Millisecond,
	})
	if err != nil {
		return nil, misconfiguredLogin("the client cannot be created: "+err.Error(), "check the VAULT_… environment variables")
	}
	c.SetToken("")
	c.ClearNamespace()
	if cfg.Namespace != "" {
		c.SetNamespace(cfg.Namespace)
	}
	return c, nil
}

// maxResponse bounds a response, in bytes.
const maxResponse = 1 << 20

var errNotVault = errors.New("the answer is not from HashiCorp Vault")

// limitedTransport fails a response that is longer than maxResponse.
type limitedTransport struct{ base http.RoundTripper }

func (c limitedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.base.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxResponse)
	}
	return resp, err
}
