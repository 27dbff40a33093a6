// A relying party in Go: crypto/x509 for the path, golang.org/x/crypto/ocsp or crypto/x509's lists for revocation.
//
//	relying-party ocsp|crl <roots.pem> <chain.pem>...
//
// One line for each chain: "<file>: good", or what is wrong.
package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"golang.org/x/crypto/ocsp"
)

const listMax = 64 << 20

func main() {
	how, rootsFile := os.Args[1], os.Args[2]
	roots := x509.NewCertPool()
	for _, root := range read(rootsFile) {
		roots.AddCert(root)
	}
	for _, file := range os.Args[3:] {
		verdict := "good"
		if err := judge(how, roots, read(file)); err != nil {
			verdict = err.Error()
		}
		fmt.Printf("%s: %s\n", file, verdict)
	}
}

func judge(how string, roots *x509.CertPool, sent []*x509.Certificate) error {
	if len(sent) == 0 {
		return errors.New("no certificate could be read")
	}
	between := x509.NewCertPool()
	for _, certificate := range sent[1:] {
		between.AddCert(certificate)
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	chains, err := sent[0].Verify(options)
	if err != nil {
		return err
	}
	leaf, issuer := chains[0][0], chains[0][1]
	if how == "ocsp" {
		return askOCSP(leaf, issuer)
	}
	for i, certificate := range chains[0][:len(chains[0])-1] {
		if err := askList(certificate, chains[0][i+1]); err != nil {
			return err
		}
	}
	return nil
}

func askOCSP(leaf, issuer *x509.Certificate) error {
	if len(leaf.OCSPServer) == 0 {
		return errors.New("unknown: it names no responder")
	}
	request, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return err
	}
	answer, err := http.Post(leaf.OCSPServer[0], "application/ocsp-request", bytes.NewReader(request))
	if err != nil {
		return fmt.Errorf("unknown: %w", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("unknown: %w", err)
	}
	status, err := ocsp.ParseResponseForCert(body, leaf, issuer)
	if err != nil {
		return fmt.Errorf("unknown: %w", err)
	}
	now := time.Now()
	switch {
	case now.Before(status.ThisUpdate) || now.After(status.NextUpdate):
		return errors.New("unknown: the answer is not of now")
	case status.Status == ocsp.Revoked:
		return fmt.Errorf("revoked: reason %d", status.RevocationReason)
	case status.Status != ocsp.Good:
		return errors.New("unknown: the responder does not know it")
	}
	return nil
}

func askList(certificate, issuer *x509.Certificate) error {
	if len(certificate.CRLDistributionPoints) == 0 {
		return errors.New("unknown: it names no list")
	}
	answer, err := http.Get(certificate.CRLDistributionPoints[0])
	if err != nil {
		return fmt.Errorf("unknown: %w", err)
	}
	defer answer.Body.Close()
	der, err := io.ReadAll(io.LimitReader(answer.Body, listMax))
	if err != nil {
		return fmt.Errorf("unknown: %w", err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return fmt.Errorf("unknown: %w", err)
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		return fmt.Errorf("unknown: %w", err)
	}
	if now := time.Now(); now.Before(list.ThisUpdate) || now.After(list.NextUpdate) {
		return errors.New("unknown: the list is not of now")
	}
	for _, entry := range list.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(certificate.SerialNumber) == 0 {
			return fmt.Errorf("revoked: reason %d", entry.ReasonCode)
		}
	}
	return nil
}

func read(file string) (certificates []*x509.Certificate) {
	text, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return certificates
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return nil
		}
		certificates = append(certificates, certificate)
	}
}
