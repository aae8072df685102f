export const dyingCredential = { accessKeyId: 'DYING', secretAccessKey: 'd', account: '111122223333' };
