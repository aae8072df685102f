/** An answer of the service that is no success, in AWS's names. */
export class ServiceError extends Error {
  /** HTTP status. */
  readonly status: number;

  constructor(name: string, message: string, status = 400) {
    super(message);
    this.name = name;
    this.status = status;
  }
}

export function invalid(message: string): ServiceError {
  return new ServiceError('ValidationException', message);
}

/** AWS tells nobody why a ciphertext does not decrypt. */
export function badCiphertext(): ServiceError {
  return new ServiceError('InvalidCiphertextException', '');
}
