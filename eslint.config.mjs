import tseslint from 'typescript-eslint';

const timeAndChance = [
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'Take the time from the injected Clock.' },
  { selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']", message: 'Take the time from the injected Clock.' },
  { selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']", message: 'Take random bytes from core/random.' },
  {
    selector:
      'CallExpression[callee.name=/^(randomBytes|randomUUID|randomInt)$/], CallExpression[callee.property.name=/^(randomBytes|randomUUID|randomInt|getRandomValues)$/]',
    message: 'Take random bytes from core/random.',
  },
];
const environment = { selector: "MemberExpression[object.name='process'][property.name='env']", message: 'Read the environment only in src/config.' };

export default tseslint.config(
  { ignores: ['dist', 'src/db/generated', 'coverage', '**/*.mjs'] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      'max-lines-per-function': ['error', { max: 90, skipBlankLines: true, skipComments: true }],
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 5],
      'no-console': 'error',
      'no-restricted-syntax': ['error', ...timeAndChance, environment],
    },
  },
  { files: ['src/core/{clock,random}.ts'], rules: { 'no-restricted-syntax': ['error', environment] } },
  { files: ['src/config/**/*.ts'], rules: { 'no-restricted-syntax': ['error', ...timeAndChance] } },
);
