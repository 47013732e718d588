package simulator

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"image"
	"image/color"
	"image/png"
)

// sample makes a small file such as a person would send. The simulator is locked.
func (s *Simulator) sample(mime string) *upload {
	f := &upload{id: s.objectID(), mime: mime, until: s.Now().Add(inboundLives), shown: true}
	switch mime {
	case "image/png":
		f.content = picture()
	case "image/webp":
		f.content, _ = pageFiles.ReadFile("page/sticker.webp")
	case "application/pdf":
		f.content = []byte("%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n")
	default:
		f.shown = false
		f.content = []byte("a sample file of type " + mime + "\n")
	}
	sum := sha256.Sum256(f.content)
	f.sha256 = base64.StdEncoding.EncodeToString(sum[:]) // as webhooks have it
	s.world.media.add(f)
	return f
}

// picture draws a small picture: a hill below a sky.
func picture() []byte {
	const side = 96
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			c := color.RGBA{120, 180, 230, 255}
			if dx := x - side/2; y > side/2+dx*dx/60 {
				c = color.RGBA{90, 160, 90, 255}
			}
			img.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	_ = png.Encode(&b, img)
	return b.Bytes()
}
