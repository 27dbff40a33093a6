import java.io.FileInputStream;
import java.io.InputStream;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Judges chains by PKIX with the JDK's own revocation checker: {@code Verify ocsp|crl <roots.pem> <chain.pem>...}, a line for each chain. */
public final class Verify {
  public static void main(String[] args) throws Exception {
    CertificateFactory x509 = CertificateFactory.getInstance("X.509");
    Set<TrustAnchor> anchors = new HashSet<>();
    for (Certificate root : read(x509, args[1])) anchors.add(new TrustAnchor((X509Certificate) root, null));
    for (int i = 2; i < args.length; i++) System.out.println(args[i] + ": " + judge(x509, args[0], anchors, args[i]));
  }

  private static String judge(CertificateFactory x509, String how, Set<TrustAnchor> anchors, String file) throws Exception {
    CertPathValidator validator = CertPathValidator.getInstance("PKIX");
    PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
    checker.setOptions(options(how));
    PKIXParameters parameters = new PKIXParameters(anchors);
    parameters.addCertPathChecker(checker);
    try {
      CertPath path = x509.generateCertPath(new ArrayList<>(read(x509, file)));
      validator.validate(path, parameters);
      return "good";
    } catch (CertPathValidatorException refused) {
      return refused.getReason() + ": " + refused.getMessage();
    }
  }

  private static Set<PKIXRevocationChecker.Option> options(String how) {
    return how.equals("ocsp")
        ? EnumSet.of(PKIXRevocationChecker.Option.ONLY_END_ENTITY, PKIXRevocationChecker.Option.NO_FALLBACK)
        : EnumSet.of(PKIXRevocationChecker.Option.PREFER_CRLS, PKIXRevocationChecker.Option.NO_FALLBACK);
  }

  private static List<Certificate> read(CertificateFactory x509, String file) throws Exception {
    try (InputStream in = new FileInputStream(file)) {
      Collection<? extends Certificate> found = x509.generateCertificates(in);
      return new ArrayList<>(found);
    }
  }
}
