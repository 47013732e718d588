package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"sync"

	"filippo.io/age"
)

// A sealed text is: version, key id, salt, nonce, AES-256-GCM of the plain text. Its key is
// derived from the identity and the salt. A vault uses one salt for textsPerSalt texts, so that
// few keys are derived, yet far fewer texts share one than random nonces of 96 bits allow.
//
// Version 1 had a key for each text: a salt of 24 bytes, and a nonce of zeros.
const (
	sealVersion  = 2
	firstVersion = 1
	keyIDSize    = 8
	saltSize     = 12
	nonceSize    = 12
	headerSize   = 1 + keyIDSize + saltSize + nonceSize

	textsPerSalt = 1 << 24
	maxSalts     = 64 // whose keys are cached for opening

	sealPurpose = "facteur/vault: sealed texts" // the context of the key derivation
)

// sealKey is the key of one identity for data at rest.
type sealKey struct {
	id     [keyIDSize]byte
	secret []byte

	mu        sync.Mutex
	salt      [saltSize]byte // for sealing
	aead      cipher.AEAD    // of that salt
	textsLeft int            // for that salt
	aeads     map[[saltSize]byte]cipher.AEAD
}

func newSealKey(id *age.X25519Identity) (*sealKey, error) {
	material := []byte(id.String())
	k := &sealKey{}
	keyID, err := hkdf.Key(sha256.New, material, nil, "facteur/vault: key id", keyIDSize)
	if err != nil {
		return nil, err
	}
	copy(k.id[:], keyID)
	k.secret, err = hkdf.Key(sha256.New, material, nil, "facteur/vault: seal", 32)
	return k, err
}

func (k *sealKey) derive(salt []byte, purpose string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, k.secret, salt, purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// current returns the salt to seal a text with, and its key.
func (k *sealKey) current() (salt [saltSize]byte, aead cipher.AEAD, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.textsLeft == 0 {
		rand.Read(k.salt[:])
		if k.aead, err = k.derive(k.salt[:], sealPurpose); err != nil {
			return salt, nil, err
		}
		k.textsLeft = textsPerSalt
	}
	k.textsLeft--
	return k.salt, k.aead, nil
}

// aeadOf returns the key of a salt.
func (k *sealKey) aeadOf(salt []byte) (cipher.AEAD, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if aead, ok := k.aeads[[saltSize]byte(salt)]; ok {
		return aead, nil
	}
	aead, err := k.derive(salt, sealPurpose)
	if err != nil {
		return nil, err
	}
	if k.aeads == nil || len(k.aeads) >= maxSalts {
		k.aeads = map[[saltSize]byte]cipher.AEAD{}
	}
	k.aeads[[saltSize]byte(salt)] = aead
	return aead, nil
}

// Seal encrypts data at rest. The context says what the data is, such as the
// run and the step that it belongs to: [Vault.Open] must be given the same. The
// key comes from the key file in the data folder, which is made on first use.
func (v *Vault) Seal(plaintext, context []byte) ([]byte, error) {
	keys, err := v.sealKeys(true)
	if err != nil {
		return nil, err
	}
	k := keys[0]
	salt, aead, err := k.current()
	if err != nil {
		return nil, err
	}
	size := headerSize + len(plaintext) + aead.Overhead()
	buf := make([]byte, size+headerSize+len(context)) // one allocation for the sealed text and the additional data
	sealed := buf[:headerSize:size]
	sealed[0] = sealVersion
	copy(sealed[1:], k.id[:])
	copy(sealed[1+keyIDSize:], salt[:])
	nonce := sealed[headerSize-nonceSize : headerSize]
	rand.Read(nonce)
	return aead.Seal(sealed, nonce, plaintext, additionalData(buf[size:size], sealed, context)), nil
}

// Open decrypts what Seal encrypted in the same context.
func (v *Vault) Open(sealed, context []byte) ([]byte, error) {
	if len(sealed) < headerSize || sealed[0] != sealVersion && sealed[0] != firstVersion {
		return nil, &BackendError{Backend: sealName, Op: "open", Reason: Corrupt, why: "this is not sealed data, or it is incomplete", Hint: "restore it from a backup"}
	}
	k, err := v.keyOf(sealed)
	if err != nil {
		return nil, err
	}
	var aead cipher.AEAD
	salt, nonce := sealed[1+keyIDSize:headerSize-nonceSize], sealed[headerSize-nonceSize:headerSize]
	if sealed[0] == firstVersion {
		salt, nonce = sealed[1+keyIDSize:headerSize], make([]byte, nonceSize)
		aead, err = k.derive(salt, "facteur/vault: sealed text")
	} else {
		aead, err = k.aeadOf(salt)
	}
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nonce, sealed[headerSize:], additionalData(nil, sealed, context))
	if err != nil {
		return nil, &BackendError{Backend: sealName, Op: "open", Reason: Corrupt, why: "the data was changed, or sealed for another purpose", Hint: "restore it from a backup", Err: err}
	}
	return plain, nil
}

// additionalData appends what AES-GCM authenticates besides the text: the header and the context.
func additionalData(buf, sealed, context []byte) []byte {
	return append(append(buf, sealed[:headerSize]...), context...)
}
