package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// CertFiles are the files of a certificate and its key, in PEM. When they change, new
// connections get the new certificate; while the two do not match, they get the old one.
type CertFiles struct {
	certFile, keyFile string
	log               *slog.Logger

	mu       sync.Mutex
	current  *tls.Certificate
	versions [2]fileVersion
}

// A fileVersion changes with the content of a file.
type fileVersion struct {
	at   time.Time
	size int64
}

// LoadCert reads a certificate and its key. log is told when new ones cannot be read.
func LoadCert(certFile, keyFile string, log *slog.Logger) (*CertFiles, error) {
	c := &CertFiles{certFile: certFile, keyFile: keyFile, log: log}
	seen, err := c.readVersions()
	if err != nil {
		return nil, err
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("the certificate in %s and its key in %s: %w", certFile, keyFile, err)
	}
	c.current, c.versions = &cert, seen
	return c, nil
}

func (c *CertFiles) readVersions() (seen [2]fileVersion, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return seen, fmt.Errorf("the certificate: %w", err)
		}
		seen[i] = fileVersion{info.ModTime(), info.Size()}
	}
	return seen, nil
}

// get is tls.Config.GetCertificate.
func (c *CertFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen, err := c.readVersions()
	if err != nil || seen == c.versions {
		return c.current, nil // a file that is being replaced may be missing
	}
	c.versions = seen
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		c.log.Warn("the new certificate cannot be used; the old one stays in use", "certificate", c.certFile, "key", c.keyFile, "error", err)
		return c.current, nil
	}
	c.current = &cert
	return c.current, nil
}
