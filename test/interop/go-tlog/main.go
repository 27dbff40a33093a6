// Judges a log of Signet with the packages that the Go checksum database is verified with: what they accept is a checkpoint, a tile and a proof as others understand them.
// A case as JSON on standard input, a verdict as JSON on standard output.
package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type inclusion struct {
	Index int64    `json:"index"`
	Leaf  string   `json:"leaf"`
	Proof []string `json:"proof"`
}

type consistency struct {
	First     int64    `json:"first"`
	FirstRoot string   `json:"firstRoot"`
	Proof     []string `json:"proof"`
}

type question struct {
	Key         string       `json:"key"`
	Checkpoint  string       `json:"checkpoint"`
	Inclusion   *inclusion   `json:"inclusion"`
	Consistency *consistency `json:"consistency"`
	// Tiles are read below this address, and every leaf is proven from them.
	Tiles string `json:"tiles"`
}

func hashOf(text string) (h tlog.Hash, err error) {
	octets, err := hex.DecodeString(text)
	if err != nil || len(octets) != tlog.HashSize {
		return h, errors.New("not a hash")
	}
	copy(h[:], octets)
	return h, nil
}

func hashesOf(texts []string) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, text := range texts {
		h, err := hashOf(text)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}

// treeOf reads the body of a checkpoint (C2SP tlog-checkpoint).
func treeOf(text string) (tree tlog.Tree, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return tree, errors.New("not a checkpoint")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tree, errors.New("not a root")
	}
	copy(tree.Hash[:], root)
	return tree, nil
}

// tiles reads over HTTP; the paths of C2SP tlog-tiles are those of Go without the height.
type tiles struct{ base string }

func (tiles) Height() int { return 8 }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range wanted {
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		answer, err := http.Get(t.base + "/" + path)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<14))
		answer.Body.Close()
		if err != nil {
			return nil, err
		}
		if answer.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: %s", path, answer.Status)
		}
		data = append(data, body)
	}
	return data, nil
}

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// walk proves every leaf, and every earlier tree, from the tiles.
func walk(base string, tree tlog.Tree) error {
	// The reader holds what it reads against the root.
	reader := tlog.TileHashReader(tree, tiles{base})
	for index := int64(0); index < tree.N; index++ {
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		if err != nil {
			return err
		}
		leaf, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf[0]); err != nil {
			return err
		}
		first, err := tlog.TreeHash(index+1, reader)
		if err != nil {
			return err
		}
		grown, err := tlog.ProveTree(tree.N, index+1, reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(grown, tree.N, tree.Hash, index+1, first); err != nil {
			return err
		}
	}
	return nil
}

func judge(q question) error {
	verifier, err := note.NewVerifier(q.Key)
	if err != nil {
		return err
	}
	opened, err := note.Open([]byte(q.Checkpoint), note.VerifierList(verifier))
	if err != nil {
		return err
	}
	tree, err := treeOf(opened.Text)
	if err != nil {
		return err
	}
	if q.Inclusion != nil {
		proof, err := hashesOf(q.Inclusion.Proof)
		if err != nil {
			return err
		}
		leaf, err := hashOf(q.Inclusion.Leaf)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, q.Inclusion.Index, leaf); err != nil {
			return err
		}
	}
	if q.Consistency != nil {
		proof, err := hashesOf(q.Consistency.Proof)
		if err != nil {
			return err
		}
		root, err := hashOf(q.Consistency.FirstRoot)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, q.Consistency.First, root); err != nil {
			return err
		}
	}
	if q.Tiles != "" {
		return walk(q.Tiles, tree)
	}
	return nil
}

func main() {
	var q question
	if err := json.NewDecoder(os.Stdin).Decode(&q); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	err := judge(q)
	said := "accepted"
	if err != nil {
		said = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"accepted": err == nil, "said": said})
}
